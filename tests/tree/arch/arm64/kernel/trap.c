// SPDX-License-Identifier: GPL-2.0-only
int trap_nr(int vector)
{
	return vector >> 26;
}
