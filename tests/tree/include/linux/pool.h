/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_POOL_H
#define _LINUX_POOL_H

#include <linux/types.h>

#define POOL_MAX	64

/**
 * struct pool - pages kept aside
 * @count: how many there are
 * @pages: the pages
 */
struct pool {
	unsigned int	count;
	void		*pages[POOL_MAX];
};

void *pool_get(struct pool *pool);
int pool_put(struct pool *pool, void *page);

static inline bool pool_empty(const struct pool *pool)
{
	return pool->count == 0;
}

#endif /* _LINUX_POOL_H */
