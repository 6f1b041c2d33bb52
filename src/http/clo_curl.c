/* libcurl's options, constant ones and those of an attempt, each with its
 * reason. What is not set has libcurl's default on purpose. */
#define _FILE_OFFSET_BITS 64 /* else readdir() may fail on 32 bits */
#define _GNU_SOURCE /* dladdr, */
#ifndef __linux__
#undef _POSIX_C_SOURCE /* which hides it elsewhere */
#endif
#include "clo_curl.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clo_libcurl.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started = CURLE_FAILED_INIT;

/* The system's authorities, which libcurl takes from both by default. NULL
 * if it does not have both. */
static const char *bundle;    /* all in one file */
static const char *directory; /* a file for each, under its hash */
static int has_hashed_dir;    /* there is such a file */
static int reads_all;         /* of them, whatever their names; it is GnuTLS */

/* A look-up that was given up continues in a thread of libcurl's, so neither
 * libcurl nor this module may be unloaded. */
static void stay_loaded(void) {
  Dl_info here;
  if (dladdr(&once, &here)) dlopen(here.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

/* Whether a directory has authorities under the names by which OpenSSL looks
 * them up, such as 5ed36f99.0. */
static int is_hashed(const char *path) {
  DIR *dir = opendir(path);
  const struct dirent *entry;
  int found = 0;
  if (!dir) return 0;
  while (!found && (entry = readdir(dir)))
    found = strspn(entry->d_name, "0123456789abcdef") == 8 &&
            strcmp(entry->d_name + 8, ".0") == 0;
  closedir(dir);
  return found;
}

static void start(void) {
  const curl_version_info_data *info = clo_libcurl_info();
  stay_loaded();
  started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (!info->cainfo || !info->capath) return;
  reads_all = clo_libcurl_has_tls("GnuTLS/");
  /* Other TLS libraries may read a directory in another way. */
  if (!reads_all && !clo_libcurl_has_tls("OpenSSL/")) return;
  bundle = info->cainfo;
  directory = info->capath;
  has_hashed_dir = reads_all || is_hashed(directory);
}

int clo_curl_start(char *why) {
  const curl_version_info_data *info = clo_libcurl_info();
  snprintf(why, CLO_WHY_MAX, "libcurl %s could not be started", info->version);
  if (info->version_num < CLO_LIBCURL_LEAST) {
    snprintf(why, CLO_WHY_MAX,
             "libcurl %s is too old: this module was built with %s and needs "
             CLO_LIBCURL_LEAST_NAME " or newer",
             info->version, LIBCURL_VERSION);
    return 0;
  }
  return pthread_once(&once, start) == 0 && started == CURLE_OK;
}

static int append(struct curl_slist **list, const char *line) {
  struct curl_slist *longer = curl_slist_append(*list, line);
  if (longer) *list = longer;
  return longer != NULL;
}

struct curl_slist *clo_curl_headers(const struct clo_config *config) {
  /* "Expect:" removes the pause that libcurl makes before a large body;
   * "identity" asks for no compression. libcurl copies these lines once, and
   * what it makes of its options twice or more. */
  static const char *const lines[] = {
      "Content-Type: application/json", "Accept: application/json", "Expect:",
      "Accept-Encoding: identity"};
  size_t i, size = strlen(config->user_agent) + sizeof "User-Agent: ";
  struct curl_slist *list = NULL;
  char *agent = malloc(size);
  int ok = agent != NULL;
  if (agent) snprintf(agent, size, "User-Agent: %s", config->user_agent);
  for (i = 0; ok && i < sizeof lines / sizeof *lines; i++)
    ok = append(&list, lines[i]);
  ok = ok && append(&list, agent);
  free(agent);
  if (ok) return list;
  curl_slist_free_all(list);
  return NULL;
}

static long milliseconds(double seconds) {
  double ms = seconds * 1000;
  if (ms < 1) return 1; /* 0 would mean: no limit */
  return ms > 2e9 ? 2000000000L : (long)ms;
}

/* A handle whose options are being set. One that is refused makes the whole
 * handle unusable. */
struct setup {
  CURL *easy;
  CURLcode code;
  const char *option; /* that was refused, where code is not 0 */
};

#define SET(name, value)                                     \
  do {                                                       \
    if (s->code) break;                                      \
    s->code = curl_easy_setopt(s->easy, name, value);        \
    if (s->code) s->option = #name;                          \
  } while (0)

/* Whether the way to the proxy has TLS. */
static int has_tls_to_proxy(const struct clo_config *config) {
  return config->proxy && strncasecmp(config->proxy, "https:", 6) == 0;
}

static void set_security(struct setup *s, const struct clo_config *config) {
  if (config->ca_file) {
    SET(CURLOPT_CAINFO, config->ca_file);
    SET(CURLOPT_CAPATH, NULL); /* those and no others */
  }
  if (config->ca_file && has_tls_to_proxy(config)) {
    SET(CURLOPT_PROXY_CAINFO, config->ca_file);
    SET(CURLOPT_PROXY_CAPATH, NULL);
  }
  if (clo_libcurl_is_old())
    SET(CURLOPT_PROTOCOLS,
        (long)(config->plain ? CURLPROTO_HTTP | CURLPROTO_HTTPS
                             : CURLPROTO_HTTPS));
  else
    SET(CURLOPT_PROTOCOLS_STR, config->plain ? "http,https" : "https");
  SET(CURLOPT_FOLLOWLOCATION, 0L); /* it would send the message elsewhere */
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  /* An empty string also keeps libcurl from reading http_proxy and the like:
   * the key goes nowhere that the caller did not name. */
  SET(CURLOPT_PROXY, config->proxy ? config->proxy : "");
  SET(CURLOPT_NOPROXY, ""); /* nor past the proxy, by no_proxy */
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
}

/* Seconds that an old libcurl's own timeouts are later than the engine's, which
 * ends the attempt: libcurl would wait for a look-up. */
#define LATER 1

static long limit(double seconds) {
  return milliseconds(clo_libcurl_is_old() ? seconds + LATER : seconds);
}

/* The host is looked up from now on, and no connection that is there is
 * used. */
static int on_look_up(void *resolver, void *reserved, void *transfer) {
  struct clo_transfer *t = transfer;
  (void)resolver;
  (void)reserved;
  t->is_looked_up = 1;
  return 0;
}

/* Giving a call up must not wait for the thread that looks its host up. */
static void set_quick_exit(struct setup *s, struct clo_transfer *t) {
  if (!clo_libcurl_is_old()) {
    SET(CURLOPT_QUICK_EXIT, 1L);
    return;
  }
  SET(CURLOPT_RESOLVER_START_FUNCTION, on_look_up);
  SET(CURLOPT_RESOLVER_START_DATA, t);
}

/* Seconds that a connection may wait for its next request: less than the
 * minute after which common servers and balancers end it, so that its end
 * does not cross a request. */
#define IDLE_MAX 50L

static void set_transport(struct setup *s, const struct clo_config *config) {
  SET(CURLOPT_NOSIGNAL, 1L); /* the process's signals are its host's */
  /* HTTP/1.1 by default: libcurl has no way to tell that an HTTP/2 server
   * refused a request unprocessed (RFC 9113, 8.7), and does not limit the
   * control frames that it reads in one go. */
  SET(CURLOPT_HTTP_VERSION, config->http2 ? (long)CURL_HTTP_VERSION_2TLS
                                          : (long)CURL_HTTP_VERSION_1_1);
  /* Many calls at once wait for the first one's connection to say whether it
   * is HTTP/2, and share it then: mostly in the engine, see FIRST_ALONE. Over
   * http nothing would say so in time. */
  SET(CURLOPT_PIPEWAIT, (long)(config->http2 && !config->plain));
  SET(CURLOPT_CONNECTTIMEOUT_MS, limit(config->connect_timeout));
  SET(CURLOPT_MAXAGE_CONN, IDLE_MAX);
  /* For a proxy's CONNECT; requests have it among their headers. */
  SET(CURLOPT_USERAGENT, config->proxy ? config->user_agent : NULL);
  SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* none for a proxy */
  /* Decodes an answer that is compressed all the same (RFC 9110, 8.4). */
  SET(CURLOPT_ACCEPT_ENCODING, "identity");
}

/* Whether a connection that was used before has neither ended nor got anything
 * since its last answer. */
static int is_fit(const struct clo_transfer *t, int own_port) {
  curl_socket_t fd = clo_libcurl_unchecked(t->easy);
  /* Over HTTP/2, 8.14 and 8.21 read but one TLS record to see whether it lives;
   * the server's farewell may be in the next. */
  if (fd == CURL_SOCKET_BAD && t->http2)
    fd = clo_sockets_find(t->sockets, own_port);
  return !clo_libcurl_has_unread(t->easy, t->http2) &&
         (fd == CURL_SOCKET_BAD || !clo_sockets_has_ended(t->sockets, fd));
}

/* A request is to begin; if it is the attempt's first, nothing has left. One
 * whose body libcurl was given must not begin again. */
static int on_begin(void *transfer, char *ip, char *own_ip, int port,
                    int own_port) {
  struct clo_transfer *t = transfer;
  long connects = 0;
  (void)ip;
  (void)own_ip;
  (void)port;
  if (t->is_given && t->has_begun) return CURL_PREREQFUNC_ABORT;
  curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
  if (connects > 0 || is_fit(t, own_port)) {
    t->has_begun = 1;
    t->on_kept = connects == 0;
    return CURL_PREREQFUNC_OK;
  }
  t->is_refused = !t->has_begun;
  t->refusals++;
  /* So that one of HTTP/2, too, is closed if it has no other request. */
  curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
  return CURL_PREREQFUNC_ABORT;
}

static void set_callbacks(struct setup *s, struct clo_transfer *t) {
  SET(CURLOPT_PRIVATE, t);
  SET(CURLOPT_ERRORBUFFER, t->message);
  SET(CURLOPT_READFUNCTION, clo_transfer_on_read);
  SET(CURLOPT_READDATA, t);
  SET(CURLOPT_SEEKFUNCTION, clo_transfer_on_seek);
  SET(CURLOPT_SEEKDATA, t);
  SET(CURLOPT_HEADERFUNCTION, clo_transfer_on_header);
  SET(CURLOPT_HEADERDATA, t);
  SET(CURLOPT_WRITEFUNCTION, clo_transfer_on_write);
  SET(CURLOPT_WRITEDATA, t);
  if (!clo_libcurl_asks_first()) return;
  SET(CURLOPT_PREREQFUNCTION, on_begin);
  SET(CURLOPT_PREREQDATA, t);
}

/* Keeps the system's error for the transfer: libcurl does not report it. */
static curl_socket_t open_socket(void *transfer, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
  struct clo_transfer *t = transfer;
  curl_socket_t fd;
  if (t->is_parked) {
    errno = ECANCELED;
    return CURL_SOCKET_BAD;
  }
  fd = clo_sockets_on_open(t->sockets, purpose, address);
  /* Where there is no IPv6, IPv4 says what is wrong. */
  if (fd == CURL_SOCKET_BAD && errno != EAFNOSUPPORT) t->open_error = errno;
  return fd;
}

static void describe_refusal(const struct setup *s, char *why) {
  const curl_version_info_data *info = clo_libcurl_info();
  if (s->code == CURLE_OUT_OF_MEMORY) return;
  snprintf(why, CLO_WHY_MAX,
           "libcurl %s refuses %s (%s); this module was built with %s",
           info->version, s->option, curl_easy_strerror(s->code),
           LIBCURL_VERSION);
}

CURLSH *clo_curl_sessions(void) {
  CURLSH *sessions = clo_libcurl_needs_share() ? curl_share_init() : NULL;
  if (sessions && curl_share_setopt(sessions, CURLSHOPT_SHARE,
                                    CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
    curl_share_cleanup(sessions);
    return NULL;
  }
  return sessions;
}

int clo_curl_setup(struct clo_transfer *t, const struct clo_config *config,
                   struct curl_slist *headers, CURLSH *sessions,
                   struct clo_sockets *sockets, char *why) {
  struct setup setup = {curl_easy_init(), CURLE_OK, ""}, *s = &setup;
  if (!s->easy) return 0;
  set_security(s, config);
  set_transport(s, config);
  set_callbacks(s, t);
  set_quick_exit(s, t);
  t->by_proxy = config->proxy != NULL;
  /* What waits in the TLS of the way to it is not seen. */
  t->by_tls = has_tls_to_proxy(config);
  t->http2 = config->http2;
  t->sockets = sockets;
  SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
  SET(CURLOPT_OPENSOCKETDATA, t);
  SET(CURLOPT_CLOSESOCKETFUNCTION, clo_sockets_on_close);
  SET(CURLOPT_CLOSESOCKETDATA, sockets);
  SET(CURLOPT_SHARE, sessions);
  if (s->code) {
    describe_refusal(s, why);
    curl_easy_cleanup(s->easy);
    return 0;
  }
  t->easy = s->easy;
  t->sessions = sessions;
  t->lines = headers;
  return 1;
}

void clo_curl_park(struct clo_transfer *t, struct clo_transfer *parked) {
  struct setup setup = {t->easy, CURLE_OK, ""}, *s = &setup;
  parked->easy = t->easy;
  parked->form = t->form;
  parked->address = t->address;
  t->easy = NULL;
  t->form = NULL;
  t->address = NULL;
  parked->is_parked = 1;
  set_callbacks(s, parked);
  SET(CURLOPT_OPENSOCKETDATA, parked);
  SET(CURLOPT_RESOLVER_START_DATA, parked);
  SET(CURLOPT_HTTPHEADER, NULL); /* the transfer's */
  SET(CURLOPT_TIMEOUT_MS, 0L);   /* none */
  SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(1e9));
}

/* Text as it can stand in a form's quotes (HTML, 4.10.21.8), which libcurl does
 * itself since 7.81; NULL if out of memory. */
static char *quotable(const char *text) {
  char *copy = malloc(3 * strlen(text) + 1), *to = copy;
  for (; copy && *text; text++) {
    if (strchr("\"\r\n", *text))
      to += sprintf(to, "%%%02X", (unsigned)*text);
    else
      *to++ = *text;
  }
  if (copy) *to = '\0';
  return copy;
}

static CURLcode set_quoted(CURLcode (*set)(curl_mimepart *, const char *),
                           curl_mimepart *part, const char *text) {
  char *copy = quotable(text);
  CURLcode code = part && copy ? set(part, copy) : CURLE_OUT_OF_MEMORY;
  free(copy);
  return code;
}

/* The file: read and rewound by the guard's callbacks, which count it. libcurl
 * rewinds a form part by part, and only those that it has begun to read; so the
 * fields, which it keeps itself, may be sent again as long as no byte of the
 * file was read. */
static CURLcode add_file(curl_mime *mime, struct clo_transfer *t,
                         const struct clo_form *form) {
  curl_mimepart *part = curl_mime_addpart(mime);
  CURLcode code = part ? curl_mime_name(part, "file") : CURLE_OUT_OF_MEMORY;
  if (!code) code = set_quoted(curl_mime_filename, part, form->filename);
  if (!code) code = curl_mime_type(part, form->content_type);
  return code ? code
              : curl_mime_data_cb(part, (curl_off_t)t->body.len,
                                  clo_transfer_on_read, clo_transfer_on_seek,
                                  NULL, t);
}

static CURLcode add_field(curl_mime *mime, const struct clo_form_field *field) {
  curl_mimepart *part = curl_mime_addpart(mime);
  CURLcode code = set_quoted(curl_mime_name, part, field->name);
  return code ? code : curl_mime_data(part, field->value, field->value_len);
}

int clo_curl_form(struct clo_transfer *t, const struct clo_form *form) {
  CURLcode code = CURLE_OK;
  size_t i;
  if (!(t->form = curl_mime_init(t->easy))) return 0;
  for (i = 0; i < form->count && !code; i++)
    code = add_field(t->form, &form->fields[i]);
  return !code && !add_file(t->form, t, form);
}

/* Reading the bundle takes 40 ms, three frames of an editor: by libcurl's
 * default at each connection, and once for a multi handle, which keeps it, if
 * only the bundle is set. A directory costs one small file for each connection.
 * So the directory is tried first, then the bundle; with GnuTLS, which reads
 * the whole directory each time, the bundle. */
static void set_trust(struct setup *s, enum clo_trust trust) {
  if (trust == CLO_TRUST_AS_SET) return;
  SET(CURLOPT_CAINFO, trust == CLO_TRUST_BUNDLE ? bundle : NULL);
  SET(CURLOPT_CAPATH, trust == CLO_TRUST_BUNDLE ? NULL : directory);
}

enum clo_trust clo_curl_trust(const struct clo_config *config) {
  if (config->ca_file || !bundle) return CLO_TRUST_AS_SET;
  return has_hashed_dir && !reads_all ? CLO_TRUST_DIRECTORY : CLO_TRUST_BUNDLE;
}

enum clo_trust clo_curl_other_trust(enum clo_trust trust) {
  if (trust == CLO_TRUST_DIRECTORY) return CLO_TRUST_BUNDLE;
  return trust == CLO_TRUST_BUNDLE && has_hashed_dir ? CLO_TRUST_DIRECTORY
                                                     : trust;
}

/* A body that fits in one record of TLS (RFC 8446, 5.1). Of a larger one, which
 * may leave in parts, the other guard can tell how much. So it can over HTTP/2,
 * where libcurl may send more than it has counted. */
#define GIVEN_MAX 16384

static void set_body(struct setup *s, struct clo_transfer *t) {
  t->is_given = t->body.len > 0 && t->body.len <= GIVEN_MAX && !t->http2 &&
                clo_libcurl_counts_all();
  SET(CURLOPT_POST, 1L);
  SET(CURLOPT_POSTFIELDS, t->is_given ? t->body.data : NULL);
  SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
}

/* Whether a request that has no body says so: Content-Length: 0, as some
 * servers ask for. RFC 9110, 8.6 */
static int means_content(const struct clo_transfer *t) {
  return strcmp(t->method, "GET") != 0 && strcmp(t->method, "DELETE") != 0;
}

/* Out of memory libcurl sends a request without its query, which asks for
 * something else, unless it is told what to send. It is not told of a storage's
 * URL, which may need its escapes, nor where a proxy gets the URL whole. */
static void set_target(struct setup *s, const struct clo_transfer *t) {
  const char *host = strstr(t->url.data, "://");
  const char *path = host ? strchr(host + 3, '/') : NULL;
  int is_left = t->form != NULL ||
                (t->by_proxy && strncmp(t->url.data, "https:", 6) != 0);
  SET(CURLOPT_REQUEST_TARGET,
      !is_left && path && strchr(path, '?') ? path : NULL);
}

/* A form sets its own type, and accepts any answer. */
static struct curl_slist *headers_of(struct clo_transfer *t) {
  struct curl_slist *lines = t->form ? t->lines->next->next : t->lines;
  if (t->secret.len == 0) return lines;
  t->authorization.next = lines;
  return &t->authorization;
}

/* libcurl would take the URL apart for each request and put it together again,
 * a tenth of its work. The text is set, too: 7.88 would keep an earlier one. It
 * comes after that: CURLOPT_CURLU makes 8.14 forget it, even as NULL.
 * Not for an IPv6 address: curl_url_dup() of 7.88 loses its zone. */
static void set_address(struct setup *s, struct clo_transfer *t) {
  if (!t->address && !s->code && !strchr(t->url.data, '[')) {
    CURLU *address = curl_url();
    if (!address || curl_url_set(address, CURLUPART_URL, t->url.data,
                                 CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
      curl_url_cleanup(address);
      address = NULL; /* libcurl says what is wrong, when it has tried */
    }
    t->address = address;
  }
  SET(CURLOPT_CURLU, t->address);
  SET(CURLOPT_URL, t->url.data);
}

/* A request without a body has nothing to rewind, so the guard does not see
 * libcurl repeat it, which it only does on a kept connection. Reading twice
 * does no harm, unless the caller says so. */
int clo_curl_connects_anew(const struct clo_transfer *t) {
  return t->refusals > 1 ||
         (t->body.len == 0 &&
          (!t->repeatable || strcmp(t->method, "GET") != 0));
}

CURLcode clo_curl_prepare(struct clo_transfer *t, double timeout, char *why) {
  struct setup setup = {t->easy, CURLE_OK, ""}, *s = &setup;
  set_trust(s, t->trust);
  set_address(s, t);
  set_target(s, t);
  SET(CURLOPT_TIMEOUT_MS, limit(timeout));
  SET(CURLOPT_FRESH_CONNECT, (long)clo_curl_connects_anew(t));
  SET(CURLOPT_FORBID_REUSE, (long)t->by_tls);
  /* A server may end a connection that offers a session: a second attempt makes
   * a whole handshake. */
  if (clo_libcurl_resumes())
    SET(CURLOPT_SSL_SESSIONID_CACHE, (long)(t->attempts < 2));
  SET(CURLOPT_HTTPHEADER, headers_of(t));
  if (t->form) {
    SET(CURLOPT_MIMEPOST, t->form);
    SET(CURLOPT_CUSTOMREQUEST, NULL);
  } else if (t->body.len > 0 || means_content(t)) {
    set_body(s, t);
    SET(CURLOPT_CUSTOMREQUEST, strcmp(t->method, "POST") ? t->method : NULL);
  } else {
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_CUSTOMREQUEST, strcmp(t->method, "GET") ? t->method : NULL);
  }
  if (s->code) describe_refusal(s, why);
  return s->code;
}
