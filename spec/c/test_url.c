/* clo_url: the key goes over https, or over http to this machine, and to no
 * address that only looks like it. */

#include <curl/curl.h>

#include "alloc.h"
#include "clo_url.h"
#include "test.h"

enum address { AWAY, HERE };

struct good {
  const char *url;
  int plain;
  enum address address;
};

static const struct good good[] = {
    {"https://api.close.com/api/v1", 0, AWAY},
    {"https://api.close.com", 0, AWAY},
    {"https://api.close.com/", 0, AWAY},
    {"https://api.close.com:8443/api/v1/", 0, AWAY},
    {"HTTPS://API.CLOSE.COM/api/v1", 0, AWAY},
    {"https://192.0.2.1/", 0, AWAY},
    {"https://[2001:db8::1]/", 0, AWAY},
    {"https://localhost/", 0, HERE},
    {"https://127.0.0.1.evil.com/", 0, AWAY},
    {"https://localhost.evil.com/", 0, AWAY},
    {"http://localhost", 1, HERE},
    {"http://localhost:8080/api/v1", 1, HERE},
    {"http://LOCALHOST/", 1, HERE},
    {"http://LocalHost:1/", 1, HERE},
    {"HTTP://127.0.0.1/", 1, HERE},
    {"http://127.0.0.1:8080/api/v1", 1, HERE},
    {"http://127.0.0.0/", 1, HERE},
    {"http://127.255.255.255/", 1, HERE},
    {"http://[::1]:8080/", 1, HERE},
};

static const char *const bad[] = {
    "",
    " ",
    "api.close.com",
    "//api.close.com/",
    "/api/v1",
    "https",
    "https:",
    "https://",
    "https:///",
    "https://:443/",
    "https://api close.com/",
    "https://api.close.com/api v1",
    " https://api.close.com/",
    "https://api.close.com/ ",
    "https://api.close.com/\n",
    "https://api.close.com/\r\nX-Header: 1",
    "https://api.close.com:99999/",
    "https://api.close.com:port/",
    "https://[::1/",
    "https://[evil.com]/",
    /* other schemes */
    "ftp://api.close.com/",
    "ftp://localhost/",
    "file:///etc/passwd",
    "gopher://localhost/",
    "ws://localhost/",
    "httpss://api.close.com/",
    /* credentials */
    "https://user@api.close.com/",
    "https://user:password@api.close.com/",
    "https://:password@api.close.com/",
    "http://127.0.0.1@evil.com/",
    "http://localhost@evil.com/",
    "http://localhost:80@evil.com/",
    "http://user@localhost/",
    "http://evil.com\\@localhost/",
    /* not a base for paths */
    "https://api.close.com/?a=b",
    "https://api.close.com?a=b",
    "https://api.close.com/?",
    "https://api.close.com?",
    "https://api.close.com/#part",
    "https://api.close.com/#",
    "https://api.close.com#",
    "https://api.close.com/?#",
    /* http to elsewhere, however it looks */
    "http://api.close.com/",
    "HTTP://API.CLOSE.COM/",
    "http://127.0.0.1.evil.com/",
    "http://127.0.0.1.evil.com:127/",
    "http://127.evil.com/",
    "http://localhost.evil.com/",
    "http://localhost.localdomain/",
    "http://notlocalhost/",
    "http://evil.com/127.0.0.1",
    "http://evil.com/localhost",
    "http://localhost%2eevil.com/",
    "http://localhost%00.evil.com/",
    "http://localhost#.evil.com/",
    "http://localhost?.evil.com/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://126.255.255.255/",
    "http://128.0.0.1/",
    "http://1.127.0.0/",
    "http://[::]/",
    "http://[::2]/",
    "http://[fe80::1]/",
    "http://[2001:db8::127]/",
    /* names made of digits, which a name server may answer for */
    "http://127.0.0.256/",
    "http://127.0.0.1.1/",
    "http://127.0.0.0.1/",
    "http://127./",
    "http://127..1/",
    "http://127.0.0.1../",
    "http://127.0.0.1.1./",
    "http://128.0.0.1./",
    "http://localhost./",
    "http://127.99999999999/",
};

static void good_ones_are_taken(void **state) {
  size_t i;
  for (i = 0; i < COUNT(good); i++) {
    int plain = 9, loopback = 9;
    const char *fault = clo_url_check(good[i].url, &plain, &loopback);
    if (fault) fail_msg("%s: %s", good[i].url, fault);
    if (plain != good[i].plain || loopback != (int)good[i].address)
      fail_msg("%s: plain %d, loopback %d", good[i].url, plain, loopback);
  }
}

static void bad_ones_are_refused_with_a_reason(void **state) {
  size_t i;
  for (i = 0; i < COUNT(bad); i++) {
    int plain = 9, loopback = 9;
    const char *fault = clo_url_check(bad[i], &plain, &loopback);
    row("%s", bad[i]);
    assert_non_null(fault);
    assert_true(plain != 9 && loopback != 9);
    assert_true(strlen(fault) > 10 && !strchr(fault, '\n'));
    assert_true(fault[0] == 'i' || fault[0] == 'h'); /* it..., http... */
  }
}

/* ---- addresses that an answer names ---- */

static const char *named(const char *url, int plain) {
  return clo_url_check_named(url, strlen(url), plain);
}

static void named_ones_may_have_a_query(void **state) {
  static const char *const more[] = {
      "https://bucket.s3.amazonaws.com/", "https://bucket.example/?a=b&c=d",
      "https://bucket.example?a#b", "http://localhost:80/?a"};
  size_t i;
  for (i = 0; i < COUNT(good); i++)
    if (named(good[i].url, 1)) fail_msg("%s is refused", good[i].url);
  for (i = 0; i < COUNT(more); i++)
    if (named(more[i], 1)) fail_msg("%s is refused", more[i]);
}

static void named_ones_are_no_worse_than_a_base(void **state) {
  size_t i;
  for (i = 0; i < COUNT(bad); i++) {
    const char *fault = named(bad[i], 1);
    row("%s", bad[i]);
    if (!fault) assert_non_null(strpbrk(bad[i], "?#"));
    assert_true(!fault || (fault[0] == 'i' && !strchr(fault, '\n')));
  }
}

static void named_ones_are_https_where_the_base_is(void **state) {
  size_t i;
  for (i = 0; i < COUNT(good); i++)
    assert_int_equal(named(good[i].url, 0) != NULL, good[i].plain);
}

static void named_ones_have_a_length(void **state) {
  static char url[CLO_URL_MAX + 2] = "https://example.com/";
  memset(url + strlen(url), 'a', CLO_URL_MAX - strlen(url));
  assert_null(clo_url_check_named(url, CLO_URL_MAX, 0));
  url[CLO_URL_MAX] = 'a';
  assert_non_null(clo_url_check_named(url, CLO_URL_MAX + 1, 0));
  assert_non_null(clo_url_check_named("https://a\0.b/", 13, 0));
}

/* The address that libcurl connects to, in its usual notation. */
static int is_loopback_to_libcurl(const char *text) {
  CURLU *url = curl_url();
  char *host = NULL;
  int is;
  assert_non_null(url);
  assert_int_equal(curl_url_set(url, CURLUPART_URL, text, 0), CURLUE_OK);
  assert_int_equal(curl_url_get(url, CURLUPART_HOST, &host, 0), CURLUE_OK);
  is = strcmp(host, "127.0.0.1") == 0 || strcmp(host, "[::1]") == 0;
  curl_free(host);
  curl_url_cleanup(url);
  return is;
}

static void odd_notations_are_taken_as_libcurl_reads_them(void **state) {
  static const char *const odd[] = {
      "http://2130706433/",      "http://0x7f000001/",
      "http://0x7f.1/",          "http://0177.0.0.1/",
      "http://127.1/",           "http://127.0.1/",
      "http://[0:0:0:0:0:0:0:1]/", "http://[::0001]/",
      "http://[::ffff:127.0.0.1]/", "http://%31%32%37.0.0.1/",
      "http://0x7f.0x0.0x0.0x1/", "http://017700000001/",
      "http://0x80000001/",      "http://3232235777/",
      "http://127.0.0.1./",      "http://127.0.0.1%2e/",
      "http://127.1./",          "http://2130706433./"};
  size_t i, taken = 0;
  for (i = 0; i < COUNT(odd); i++) {
    int plain, loopback;
    int ok = clo_url_check(odd[i], &plain, &loopback) == NULL;
    if (ok && !is_loopback_to_libcurl(odd[i])) fail_msg("%s is taken", odd[i]);
    assert_int_equal(ok, loopback);
    assert_int_equal(ok, named(odd[i], 1) == NULL);
    taken += (size_t)ok;
  }
  /* Older ones do not normalise: those are refused. To new ones a last dot is
   * no part of an address; to others it makes a name, which is refused. */
  if (curl_version_info(CURLVERSION_NOW)->version_num >= 0x074d00)
    assert_true(taken > 0);
}

static const char *proxy_fault(const char *url, int *loopback) {
  return clo_url_check_proxy(url, loopback);
}

static void proxies_are_taken(void **state) {
  static const struct {
    const char *url;
    enum address address;
  } proxies[] = {
      {"http://proxy.example:3128", AWAY},
      {"proxy.example:3128", AWAY},
      {"proxy.example", AWAY},
      {"https://proxy.example", AWAY},
      {"socks4://proxy.example", AWAY},
      {"socks4a://proxy.example", AWAY},
      {"socks5://proxy.example:1080", AWAY},
      {"socks5h://proxy.example:1080", AWAY},
      {"SOCKS5H://proxy.example:1080", AWAY},
      {"http://user:password@proxy.example:3128", AWAY},
      {"http://127.0.0.1@proxy.example", AWAY},
      {"http://127.0.0.1.proxy.example", AWAY},
      {"http://localhost:3128", HERE},
      {"localhost:3128", HERE},
      {"127.0.0.1:3128", HERE},
      {"http://user@[::1]:3128", HERE},
  };
  size_t i;
  for (i = 0; i < COUNT(proxies); i++) {
    int loopback = 9;
    const char *fault = proxy_fault(proxies[i].url, &loopback);
    if (fault) fail_msg("%s: %s", proxies[i].url, fault);
    if (loopback != (int)proxies[i].address)
      fail_msg("%s: loopback %d", proxies[i].url, loopback);
  }
}

static void what_is_no_proxy_is_refused(void **state) {
  static const char *const no[] = {
      "",       " ",   "ftp://proxy.example", "file:///proxy", "proxy example",
      "http://", "http://:3128", "http://proxy.example:port"};
  size_t i;
  for (i = 0; i < COUNT(no); i++) {
    int loopback = 9;
    const char *fault = proxy_fault(no[i], &loopback);
    if (!fault) fail_msg("\"%s\" is taken", no[i]);
    assert_int_equal(loopback, 0);
  }
}

static void escapes_all_but_the_unreserved(void **state) {
  static const struct {
    const char *text;
    size_t len;
    const char *want;
  } rows[] = {
      {"", 0, ""},         {"aZ09-._~", 8, "aZ09-._~"},
      {"a b", 3, "a%20b"}, {"&=?#/%+", 7, "%26%3D%3F%23%2F%25%2B"},
      {"a\0b", 3, "a%00b"}, {"\xC3\xA9", 2, "%C3%A9"},
      {"\0", 1, "%00"},    {"\xFF", 1, "%FF"},
      {"ab", 0, ""},
  };
  char out[CLO_URL_ESCAPED(8)];
  size_t i;
  for (i = 0; i < COUNT(rows); i++) {
    assert_int_equal(clo_url_escape(rows[i].text, rows[i].len, out),
                     strlen(rows[i].want));
    assert_string_equal(out, rows[i].want);
  }
}

/* Each allocation of libcurl's fails once. */
static void bad_ones_are_refused_without_memory(void **state) {
  static const char *const unsafe[] = {
      "https://user@api.close.example/", "https://:word@api.close.example/",
      "http://api.close.example/", "ftp://api.close.example/"};
  size_t i, nth;
  int plain, loopback;
  for (i = 0; i < COUNT(unsafe); i++) {
    size_t count = 1; /* such a call's allocations, as far as it came */
    for (nth = 1; nth <= count + 1; nth++) {
      const char *base, *named;
      alloc_fail(nth);
      base = clo_url_check(unsafe[i], &plain, &loopback);
      count = alloc_count();
      alloc_fail(nth);
      named = clo_url_check_named(unsafe[i], strlen(unsafe[i]), 0);
      alloc_fail(0);
      assert_non_null(base);
      assert_non_null(named);
    }
    assert_true(nth > 2);
  }
}

/* And what is right is not called wrong. */
static void good_ones_lack_memory_alone(void **state) {
  static const char url[] = "https://api.close.example/";
  size_t nth, count = 1;
  int plain, loopback;
  for (nth = 1; nth <= count + 1; nth++) {
    const char *base, *named;
    alloc_fail(nth);
    base = clo_url_check(url, &plain, &loopback);
    count = alloc_count();
    alloc_fail(nth);
    named = clo_url_check_named(url, strlen(url), 0);
    alloc_fail(0);
    assert_true(!base || base == clo_url_no_memory);
    assert_true(!named || named == clo_url_no_memory);
  }
  assert_true(nth > 2);
}

/* Nor is a proxy taken as another one than it is, or at all. */
static void so_are_proxies(void **state) {
  static const char *const proxies[] = {"http://localhost:3128",
                                        "ftp://proxy.example"};
  size_t i, nth;
  for (i = 0; i < COUNT(proxies); i++) {
    size_t count = 1;
    for (nth = 1; nth <= count + 1; nth++) {
      int loopback = 9;
      const char *fault;
      alloc_fail(nth);
      fault = proxy_fault(proxies[i], &loopback);
      count = alloc_count();
      alloc_fail(0);
      if (!fault) assert_true(i == 0 && loopback == 1);
    }
    assert_true(nth > 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(escapes_all_but_the_unreserved),
      cmocka_unit_test(good_ones_are_taken),
      cmocka_unit_test(bad_ones_are_refused_with_a_reason),
      cmocka_unit_test(named_ones_may_have_a_query),
      cmocka_unit_test(named_ones_are_no_worse_than_a_base),
      cmocka_unit_test(named_ones_are_https_where_the_base_is),
      cmocka_unit_test(named_ones_have_a_length),
      cmocka_unit_test(odd_notations_are_taken_as_libcurl_reads_them),
      cmocka_unit_test(bad_ones_are_refused_without_memory),
      cmocka_unit_test(good_ones_lack_memory_alone),
      cmocka_unit_test(so_are_proxies),
      cmocka_unit_test(proxies_are_taken),
      cmocka_unit_test(what_is_no_proxy_is_refused),
  };
  alloc_give_to_curl();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
