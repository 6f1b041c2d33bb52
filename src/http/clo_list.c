#include "clo_list.h"

void clo_list_put_after(struct clo_list *list, struct clo_transfer *after,
                        struct clo_transfer *t) {
  t->prev = after;
  t->next = after ? after->next : list->first;
  *(t->next ? &t->next->prev : &list->last) = t;
  *(after ? &after->next : &list->first) = t;
  list->count++;
}

void clo_list_put(struct clo_list *list, struct clo_transfer *t) {
  clo_list_put_after(list, list->last, t);
}

struct clo_transfer *clo_list_take(struct clo_list *list,
                                   struct clo_transfer *t) {
  *(t->prev ? &t->prev->next : &list->first) = t->next;
  *(t->next ? &t->next->prev : &list->last) = t->prev;
  list->count--;
  return t;
}
