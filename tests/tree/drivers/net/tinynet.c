// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network device that hands every frame back to its sender.
 */
#include <linux/module.h>
#include <linux/pool.h>

static struct pool tinynet_pool;

static int tinynet_xmit(void *frame)
{
	void *page = pool_get(&tinynet_pool);

	if (!page)
		return -ENOMEM;

	return pool_put(&tinynet_pool, page);
}

static int __init tinynet_init(void)
{
	return tinynet_xmit(NULL);
}
module_init(tinynet_init);

MODULE_DESCRIPTION("Tiny loop network device");
MODULE_LICENSE("GPL");
