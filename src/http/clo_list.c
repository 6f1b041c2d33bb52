#include "clo_list.h"

void clo_list_put(struct clo_list *list, struct clo_transfer *t) {
  t->prev = list->last;
  t->next = NULL;
  *(list->last ? &list->last->next : &list->first) = t;
  list->last = t;
  list->count++;
}

struct clo_transfer *clo_list_take(struct clo_list *list,
                                   struct clo_transfer *t) {
  *(t->prev ? &t->prev->next : &list->first) = t->next;
  *(t->next ? &t->next->prev : &list->last) = t->prev;
  list->count--;
  return t;
}
