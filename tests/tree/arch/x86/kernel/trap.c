// SPDX-License-Identifier: GPL-2.0
int trap_nr(int vector)
{
	return vector & 0x1f;
}
