/* What a server cannot show on every system: that libcurl is asked to trust the
 * authorities of ca_file alone, with TLS 1.2 or newer. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "drive.h"
#include "setopt.h"

static const char unset[] = "unset"; /* compared as a pointer */
static const char *file, *directory; /* as they were set last */
static const char *proxy_file, *proxy_directory;
static long tls; /* the least version */

static void note_option(CURLoption option, const void *value) {
  switch ((int)option) {
    case CURLOPT_CAINFO: file = value; break;
    case CURLOPT_CAPATH: directory = value; break;
    case CURLOPT_PROXY_CAINFO: proxy_file = value; break;
    case CURLOPT_PROXY_CAPATH: proxy_directory = value; break;
    case CURLOPT_SSLVERSION: tls = (long)value; break;
  }
}

/* A call with that file and proxy. How it ends is no matter. */
static void call_with(const char *ca_file, const char *proxy) {
  static const struct reaction answer[] = {{.reply = OK_REPLY}};
  struct clo_config config = scene_config();
  file = directory = proxy_file = proxy_directory = unset;
  tls = -1;
  config.ca_file = ca_file;
  config.proxy = proxy;
  scene_open_with(&config, answer, 1);
  release(call_of("POST", "{}"));
}

static void a_file_takes_the_place_of_all_others(void **state) {
  call_with("/ours.pem", NULL);
  assert_string_equal(file, "/ours.pem");
  assert_null(directory);
}

static void so_it_does_for_a_proxy_with_tls(void **state) {
  call_with("/ours.pem", "https://127.0.0.1:9");
  assert_null(directory);
  assert_string_equal(proxy_file, "/ours.pem");
  assert_null(proxy_directory);
}

static void tls_is_1_2_at_least(void **state) {
  call_with(NULL, NULL);
  assert_int_equal(tls, CURL_SSLVERSION_TLSv1_2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_file_takes_the_place_of_all_others),
      TEST(so_it_does_for_a_proxy_with_tls),
      TEST(tls_is_1_2_at_least),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
