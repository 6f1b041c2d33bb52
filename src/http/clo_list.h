/* A list of transfers, linked through themselves. */
#ifndef CLO_LIST_H
#define CLO_LIST_H

#include "clo_transfer.h"

struct clo_list {
  struct clo_transfer *first, *last;
  size_t count;
};

/* Puts a transfer behind one that is on the list, or first if that is NULL. */
void clo_list_put_after(struct clo_list *list, struct clo_transfer *after,
                        struct clo_transfer *transfer);

/* Appends to a list; takes off one, and returns it. */
void clo_list_put(struct clo_list *list, struct clo_transfer *transfer);
struct clo_transfer *clo_list_take(struct clo_list *list,
                                   struct clo_transfer *transfer);

#endif
