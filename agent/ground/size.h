#pragma once

/*
 * Size: numbers of bytes for people.
 */

#include <stdint.h>

#define SIZE_STRING_MAX 32

/* Writes @bytes as "17245 bytes" where that is short, else to the base 1024 with one
 * digit: "3.4 MiB". Returns @buffer. */
const char *size_format(char buffer[static SIZE_STRING_MAX], uint64_t bytes);
