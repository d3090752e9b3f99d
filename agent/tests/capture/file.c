/* A library that does nothing but say that it has sent what it was given: as OpenSSL does, where the kernel
 * encrypts. */
#include <stddef.h>

int SSL_read(void *ssl, void *buffer, int length)
{
    (void)ssl, (void)buffer;
    return length;
}

int SSL_write(void *ssl, const void *buffer, int length)
{
    (void)ssl, (void)buffer;
    return length;
}

int SSL_write_ex2(void *ssl, const void *buffer, size_t length, unsigned long flags, size_t *written)
{
    (void)ssl, (void)buffer, (void)flags;
    *written = length;
    return 1;
}

long SSL_sendfile(void *ssl, int file, long offset, size_t size, int flags)
{
    (void)ssl, (void)offset, (void)flags;
    return file < 0 ? -1 : (long)size;
}
