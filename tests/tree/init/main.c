// SPDX-License-Identifier: GPL-2.0
#include <linux/init.h>

int __init start_kernel(void)
{
	return 0;
}
