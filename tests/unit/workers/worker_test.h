/* SPDX-License-Identifier: Apache-2.0 */
/* What every test of the worker includes. */
#ifndef GRISAILLE_WORKER_TEST_H
#define GRISAILLE_WORKER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker_fakes.h"

#endif
