/* A libcurl that is not the one we were built with, for LD_PRELOAD: by the
 * environment it says that it is of another version, refuses an option by its
 * number, and has its authorities elsewhere. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#undef curl_easy_setopt

curl_version_info_data *curl_version_info(CURLversion age) {
  static curl_version_info_data data;
  curl_version_info_data *(*real)(CURLversion);
  const char *text;
  unsigned major, minor, patch;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_version_info");
  data = *real(age);
  if ((text = getenv("CLOSE_SPEC_CURL_VERSION")) &&
      sscanf(text, "%u.%u.%u", &major, &minor, &patch) == 3) {
    data.version = text;
    data.version_num = major << 16 | minor << 8 | patch;
  }
  if ((text = getenv("CLOSE_SPEC_CAINFO"))) data.cainfo = text;
  if ((text = getenv("CLOSE_SPEC_CAPATH"))) data.capath = text;
  return &data;
}

/* What an option takes is a pointer, or as large as one here,
 * or a curl_off_t. */
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
  const char *refused = getenv("CLOSE_SPEC_CURL_REFUSES");
  CURLcode (*real)(CURL *, CURLoption, ...);
  int is_large = option / 10000 * 10000 == CURLOPTTYPE_OFF_T;
  curl_off_t large = 0;
  void *value = NULL;
  va_list list;
  va_start(list, option);
  if (is_large)
    large = va_arg(list, curl_off_t);
  else
    value = va_arg(list, void *);
  va_end(list);
  if (refused && atoi(refused) == (int)option) return CURLE_UNKNOWN_OPTION;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
  return is_large ? real(easy, option, large) : real(easy, option, value);
}
