/* Takes the place of libcurl's curl_easy_setopt(): shows each option to
 * note_option(), which the test has, and sets it. For one file of a test, which
 * defines _GNU_SOURCE (RTLD_NEXT). */
#ifndef SETOPT_H
#define SETOPT_H

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>

static void note_option(CURLoption option, const void *value);

#undef curl_easy_setopt

/* What an option takes is a pointer, or as large as one here, or a
 * curl_off_t. */
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
  CURLcode (*real)(CURL *, CURLoption, ...);
  CURLcode code;
  va_list args;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
  va_start(args, option);
  if (option / 10000 * 10000 == CURLOPTTYPE_OFF_T) {
    code = real(easy, option, va_arg(args, curl_off_t));
  } else {
    void *value = va_arg(args, void *);
    note_option(option, value);
    code = real(easy, option, value);
  }
  va_end(args);
  return code;
}

#endif
