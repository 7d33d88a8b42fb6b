/* Compiler attributes the house uses, under names that say what they promise. */
#ifndef TESSERE_BASE_ATTR_H
#define TESSERE_BASE_ATTR_H

#define B_NODISCARD __attribute__((warn_unused_result))
#define B_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define B_FORMAT_ARG(n) __attribute__((format_arg(n)))
#define B_CLEANUP(fn) __attribute__((cleanup(fn)))
#define B_NORETURN __attribute__((noreturn))
#define B_UNUSED __attribute__((unused))
#define B_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
