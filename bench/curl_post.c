/* The yardstick of the measurements: posts the same bytes N times, as plainly
 * as libcurl can: with curl_easy_perform over one kept connection, or with the
 * multi interface and so many at once.
 *   curl_post URL CAFILE N BODYFILE [WARMUP [AT_ONCE]]
 * Prints the wall, CPU and user CPU seconds of the N calls. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MAX_BYTES ((size_t)8 * 1024 * 1024)
#define MAX_AT_ONCE 1000

struct bytes {
  char *data;
  size_t len;
  size_t cap;
};

/* Returns 0 where memory or MAX_BYTES does not allow it. */
static int append(struct bytes *to, const char *data, size_t n)
{
  if (n > MAX_BYTES - to->len) return 0;
  if (to->len + n > to->cap) {
    size_t cap = 2 * (to->len + n);
    char *grown = realloc(to->data, cap);
    if (!grown) return 0;
    to->data = grown;
    to->cap = cap;
  }
  memcpy(to->data + to->len, data, n);
  to->len += n;
  return 1;
}

static size_t on_answer(char *data, size_t size, size_t n, void *to)
{
  return append(to, data, size * n) ? size * n : 0;
}

static int read_file(const char *path, struct bytes *to)
{
  char chunk[4096];
  size_t n;
  int ok = 1;
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  while (ok && (n = fread(chunk, 1, sizeof chunk, file)) > 0)
    ok = append(to, chunk, n);
  ok = ok && !ferror(file);
  fclose(file);
  return ok;
}

static double wall(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(const struct timeval *time)
{
  return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* Of this process, the kernel's part too; *user: without it. */
static double cpu(double *user)
{
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  *user = seconds(&use.ru_utime);
  return *user + seconds(&use.ru_stime);
}

static struct curl_slist *make_headers(void)
{
  struct curl_slist *list = NULL, *longer;
  list = curl_slist_append(list, "Content-Type: application/json");
  if (!list) return NULL;
  longer = curl_slist_append(list, "Accept: application/json");
  if (!longer) curl_slist_free_all(list);
  return longer;
}

/* Everything but NOSIGNAL, NOPROXY (loopback) and the buffer's callback is
 * libcurl's default. */
static int set_up(CURL *curl, const char *url, const char *ca_file,
                  const struct bytes *body, struct curl_slist *headers,
                  struct bytes *answer)
{
  int bad = 0;
  bad |= curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                          (curl_off_t)body->len) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "close-bench") != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_USERPWD, "api_bench:") != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer) != CURLE_OK;
  return !bad;
}

static int is_good(CURL *curl, CURLcode code, const struct bytes *answer)
{
  long status;
  if (code != CURLE_OK) {
    fprintf(stderr, "curl_post: %s\n", curl_easy_strerror(code));
    return 0;
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200 && answer->len > 0) return 1;
  fprintf(stderr, "curl_post: status %ld, %zu bytes\n", status, answer->len);
  return 0;
}

static int post(CURL *curl, long n, struct bytes *answer)
{
  for (; n > 0; n--) {
    answer->len = 0;
    if (!is_good(curl, curl_easy_perform(curl), answer)) return 0;
  }
  return 1;
}

/* ---- many at once ---- */

struct many {
  CURLM *multi;
  CURL *easy[MAX_AT_ONCE];
  struct bytes answer[MAX_AT_ONCE];
  long count;
};

static void begin(struct many *many, CURL *easy)
{
  struct bytes *answer;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&answer);
  answer->len = 0;
  curl_multi_add_handle(many->multi, easy);
}

/* Takes in what is done, and begins as many; returns how many were done, or -1
 * where one failed. */
static long collect(struct many *many, long *left)
{
  CURLMsg *message;
  int queued;
  long done = 0;
  while ((message = curl_multi_info_read(many->multi, &queued))) {
    CURL *easy = message->easy_handle;
    struct bytes *answer;
    CURLcode code = message->data.result;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&answer);
    curl_multi_remove_handle(many->multi, easy);
    if (!is_good(easy, code, answer)) return -1;
    done++;
    if (*left > 0) {
      (*left)--;
      begin(many, easy);
    }
  }
  return done;
}

static int post_many(struct many *many, long n)
{
  long left = n, done = 0, i;
  for (i = 0; i < many->count && left > 0; i++, left--)
    begin(many, many->easy[i]);
  while (done < n) {
    int running;
    long more;
    if (curl_multi_perform(many->multi, &running) ||
        (more = collect(many, &left)) < 0)
      return 0;
    done += more;
    if (done < n && more == 0)
      curl_multi_poll(many->multi, NULL, 0, 1000, NULL);
  }
  return 1;
}

static void drop_many(struct many *many)
{
  long i;
  for (i = 0; i < many->count; i++) {
    curl_easy_cleanup(many->easy[i]);
    free(many->answer[i].data);
  }
  curl_multi_cleanup(many->multi);
}

static int make_many(struct many *many, CURL *curl, long count)
{
  many->multi = curl_multi_init();
  if (!many->multi) return 0;
  curl_multi_setopt(many->multi, CURLMOPT_MAXCONNECTS, count);
  for (; many->count < count; many->count++) {
    CURL *easy = curl_easy_duphandle(curl);
    struct bytes *answer = &many->answer[many->count];
    many->easy[many->count] = easy;
    if (!easy || curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer) ||
        curl_easy_setopt(easy, CURLOPT_PRIVATE, answer) ||
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L))
      return 0;
  }
  return 1;
}

static int run(CURL *curl, long n, struct bytes *answer, struct many *many)
{
  return many->count ? post_many(many, n) : post(curl, n, answer);
}

static int measure(CURL *curl, long n, long warmup, struct bytes *answer,
                   struct many *many)
{
  double wall_start, cpu_start, user_start, wall_end, cpu_end, user_end;
  if (!run(curl, warmup, answer, many)) return 0;
  cpu_start = cpu(&user_start);
  wall_start = wall();
  if (!run(curl, n, answer, many)) return 0;
  wall_end = wall();
  cpu_end = cpu(&user_end);
  printf("%.6f %.6f %.6f\n", wall_end - wall_start, cpu_end - cpu_start,
         user_end - user_start);
  return 1;
}

static int to_count(const char *text, long *n)
{
  char *end;
  *n = strtol(text, &end, 10);
  return end != text && *end == '\0' && *n >= 0;
}

int main(int argc, char **argv)
{
  struct bytes body = {0}, answer = {0};
  struct curl_slist *headers = NULL;
  CURL *curl = NULL;
  struct many many = {0};
  long n, warmup = 100, at_once = 1;
  int ok = 0;

  if (argc < 5 || argc > 7 || !to_count(argv[3], &n) ||
      (argc > 5 && !to_count(argv[5], &warmup)) ||
      (argc > 6 && !to_count(argv[6], &at_once)) || at_once > MAX_AT_ONCE) {
    fprintf(stderr,
            "usage: curl_post URL CAFILE N BODYFILE [WARMUP [AT_ONCE]]\n");
    return 2;
  }
  if (!read_file(argv[4], &body) || body.len == 0) {
    fprintf(stderr, "curl_post: cannot read %s\n", argv[4]);
    goto done;
  }
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) goto done;
  curl = curl_easy_init();
  headers = make_headers();
  if (!curl || !headers ||
      !set_up(curl, argv[1], argv[2], &body, headers, &answer) ||
      (at_once > 1 && !make_many(&many, curl, at_once))) {
    fprintf(stderr, "curl_post: cannot set up libcurl\n");
    goto done;
  }
  ok = measure(curl, n, warmup, &answer, &many);
done:
  drop_many(&many);
  curl_easy_cleanup(curl);
  curl_slist_free_all(headers);
  curl_global_cleanup();
  free(answer.data);
  free(body.data);
  return ok ? 0 : 1;
}
