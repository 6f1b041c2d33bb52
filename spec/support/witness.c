/* Bare libcurl, as many programs use it: one easy handle, POSTFIELDS, default
 * options. The fault matrix runs it to show that it can see a message sent
 * twice. Reads commands, a line each, and answers each with a line:
 *   new CAFILE|-                    a new handle, with no connection
 *   post URL MARK PAD MILLISECONDS  sends a text: the mark and so many bytes;
 *                                   answers libcurl's code and the status
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CURL *easy;
static struct curl_slist *headers;

static size_t ignore(char *bytes, size_t size, size_t n, void *unused) {
  (void)bytes;
  (void)unused;
  return size * n;
}

static void begin(const char *ca_file) {
  curl_easy_cleanup(easy);
  easy = curl_easy_init();
  if (!easy) exit(1);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_USERNAME, "api_witness");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
  if (strcmp(ca_file, "-") != 0)
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
  puts("ok");
}

/* The message in JSON; the caller frees it. */
static char *body_of(const char *mark, size_t pad) {
  static const char before[] = "{\"status\": \"outbox\", \"text\": \"";
  size_t len = sizeof before - 1 + strlen(mark);
  char *body = malloc(len + pad + 3);
  if (!body) exit(1);
  sprintf(body, "%s%s", before, mark);
  memset(body + len, 'x', pad);
  strcpy(body + len + pad, "\"}");
  return body;
}

static void post(const char *url, const char *mark, size_t pad, long ms) {
  char *body = body_of(mark, pad);
  long status = 0;
  CURLcode code;
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ms);
  code = curl_easy_perform(easy);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  printf("%d %ld\n", (int)code, status);
  free(body);
}

int main(void) {
  char line[4096], url[2048], mark[64];
  size_t pad;
  long ms;
  setvbuf(stdout, NULL, _IOLBF, 0);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  headers = curl_slist_append(NULL, "Content-Type: application/json");
  /* No pause before a large body, which would only cost time. */
  headers = curl_slist_append(headers, "Expect:");
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "new %2047s", url) == 1)
      begin(url);
    else if (sscanf(line, "post %2047s %63s %zu %ld", url, mark, &pad, &ms) ==
             4)
      post(url, mark, pad, ms);
    else
      return 2;
  }
  curl_easy_cleanup(easy);
  curl_slist_free_all(headers);
  return 0;
}
