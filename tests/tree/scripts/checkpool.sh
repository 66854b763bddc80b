#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
grep -c pool_get "$@"
