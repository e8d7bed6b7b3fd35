/* Assertions of our own logic; on in every build. They never judge input. */
#ifndef SS_BASE_ASSERT_H
#define SS_BASE_ASSERT_H

_Noreturn void ss_assert_failed(const char *file, int line, const char *expression);

#define SS_ASSERT(expression) \
    ((expression) ? (void)0 : ss_assert_failed(__FILE__, __LINE__, #expression))

#endif
