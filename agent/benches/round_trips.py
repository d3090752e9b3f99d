"""TLS round trips between two ends in this process. Each line of standard input names a kind and a
number; each is answered by the microseconds that one took."""
import ctypes, sys, time

CERT, KEY = (path.encode() for path in sys.argv[1:3])
P, I, N = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
C, L = ctypes.CDLL("libcrypto.so.3", ctypes.RTLD_GLOBAL), ctypes.CDLL("libssl.so.3")
C.BIO_new_bio_pair.argtypes = [P, N, P, N]
for name in ("TLS_client_method", "TLS_server_method", "SSL_CTX_new", "SSL_new"):
    getattr(L, name).restype = P
L.SSL_CTX_new.argtypes = L.SSL_new.argtypes = L.SSL_do_handshake.argtypes = [P]
L.SSL_set_connect_state.argtypes = L.SSL_set_accept_state.argtypes = [P]
L.SSL_set_bio.argtypes = [P, P, P]
L.SSL_CTX_use_certificate_file.argtypes = [P, ctypes.c_char_p, I]
L.SSL_CTX_use_PrivateKey_file.argtypes = [P, ctypes.c_char_p, I]
L.SSL_read.argtypes = L.SSL_write.argtypes = [P, P, I]
L.SSL_read_ex.argtypes = L.SSL_write_ex.argtypes = [P, P, N, P]

def pair():
    client, server = L.SSL_CTX_new(L.TLS_client_method()), L.SSL_CTX_new(L.TLS_server_method())
    assert L.SSL_CTX_use_certificate_file(server, CERT, 1) == 1
    assert L.SSL_CTX_use_PrivateKey_file(server, KEY, 1) == 1
    up, down = P(), P()
    assert C.BIO_new_bio_pair(ctypes.byref(up), 1 << 16, ctypes.byref(down), 1 << 16)
    a, b = L.SSL_new(client), L.SSL_new(server)
    L.SSL_set_bio(a, up, up); L.SSL_set_bio(b, down, down)
    L.SSL_set_connect_state(a); L.SSL_set_accept_state(b)
    for _ in range(20):
        L.SSL_do_handshake(a); L.SSL_do_handshake(b)
    return a, b

def plain(a, b, there, back, room):
    assert L.SSL_write(a, there, 2000) == 2000 and L.SSL_read(b, room, 4096) == 2000
    assert L.SSL_write(b, back, 4000) == 4000 and L.SSL_read(a, room, 4096) == 4000

size = N()
SIZE = ctypes.byref(size)
def ex(a, b, there, back, room):
    assert L.SSL_write_ex(a, there, 2000, SIZE) == 1 and L.SSL_read_ex(b, room, 4096, SIZE) == 1
    assert L.SSL_write_ex(b, back, 4000, SIZE) == 1 and L.SSL_read_ex(a, room, 4096, SIZE) == 1

def measure(kind, count):
    start, _, functions = kind.partition("_")
    (a, b), room = pair(), ctypes.create_string_buffer(4096)
    first = {"quiet": b"\x00", "http": b"POST "}[start]
    there = ctypes.create_string_buffer(first + b"x" * 2000)
    back = ctypes.create_string_buffer(first + b"y" * 4000)
    once = {"plain": plain, "ex": ex}[functions]
    began = time.perf_counter()
    for _ in range(count):
        once(a, b, there, back, room)
    return (time.perf_counter() - began) / count * 1e6

for line in sys.stdin:
    kind, count = line.split()
    print(f"{measure(kind, int(count)):.2f}", flush=True)
