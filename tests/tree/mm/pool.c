// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool of pages for callers that must not sleep.
 */
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/pool.h>
#include <linux/printk.h>

#ifdef CONFIG_POOL_DEBUG
static void pool_check(const struct pool *pool)
{
	if (pool->count > POOL_MAX)
		pr_warn("pool: %u pages, at most %u fit\n", pool->count, POOL_MAX);
}
#else
static void pool_check(const struct pool *pool) { }
#endif

/* Take the page that was put last: it is the one most likely in the cache. */
void *pool_get(struct pool *pool)
{
	if (pool_empty(pool))
		return NULL;

	return pool->pages[--pool->count];
}
EXPORT_SYMBOL_GPL(pool_get);

int pool_put(struct pool *pool, void *page)
{
	if (pool->count >= POOL_MAX)
		return -ENOSPC;

	pool->pages[pool->count++] = page;
	pool_check(pool);
	return 0;
}
EXPORT_SYMBOL_GPL(pool_put);
