"""A TLS client and server in one process, over memory BIOs. Each line of standard input is one
command; each is answered by one line. `ctypes` calls the library given by path directly."""
import ctypes, os, ssl, sys, tempfile, threading

CERT, KEY = sys.argv[1], sys.argv[2]

def pair():
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERT, KEY)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    a = client.wrap_bio(down, up, server_side=False)
    b = server.wrap_bio(up, down, server_side=True)
    done = [False, False]
    while not all(done):
        for i, end in enumerate((a, b)):
            try:
                end.do_handshake()
                done[i] = True
            except ssl.SSLWantReadError:
                pass
    return a, b

def drain(end, want, size=65536):
    got = b""
    while len(got) < want:
        got += end.read(size)
    return got

def payload(n, start=b"POST "):
    body = bytes(i * 7 % 251 for i in range(min(n, 1000)))
    return (start + body * (n // max(len(body), 1) + 1))[:n]

class Raw:
    """Both ends through the plain C functions of one library."""
    def __init__(self, ssl_path, crypto_path=None):
        if crypto_path:
            ctypes.CDLL(crypto_path, ctypes.RTLD_GLOBAL)
        L = self.L = ctypes.CDLL(ssl_path)
        P, I = ctypes.c_void_p, ctypes.c_int
        C = ctypes.CDLL("libcrypto.so.3", ctypes.RTLD_GLOBAL)
        C.BIO_new_bio_pair.argtypes = [P, ctypes.c_size_t, P, ctypes.c_size_t]
        for n in ("TLS_client_method", "TLS_server_method", "SSL_CTX_new", "SSL_new"):
            getattr(L, n).restype = P
        L.SSL_CTX_new.argtypes = L.SSL_new.argtypes = L.SSL_free.argtypes = [P]
        L.SSL_set_bio.argtypes = [P, P, P]
        L.SSL_CTX_use_certificate_file.argtypes = L.SSL_CTX_use_PrivateKey_file.argtypes = [P, ctypes.c_char_p, I]
        L.SSL_read.argtypes = L.SSL_write.argtypes = [P, P, I]
        L.SSL_set_connect_state.argtypes = L.SSL_set_accept_state.argtypes = L.SSL_do_handshake.argtypes = [P]
        L.SSL_CTX_ctrl.argtypes = [P, I, ctypes.c_long, P]
        self.cc = L.SSL_CTX_new(L.TLS_client_method())
        self.sc = L.SSL_CTX_new(L.TLS_server_method())
        for c in (self.cc, self.sc):
            L.SSL_CTX_ctrl(c, 33, 1 | 2, None)  # partial writes, moving buffer
        assert L.SSL_CTX_use_certificate_file(self.sc, CERT.encode(), 1) == 1
        assert L.SSL_CTX_use_PrivateKey_file(self.sc, KEY.encode(), 1) == 1
        self.C = C
    def pair(self, room=0):
        L, P = self.L, ctypes.c_void_p
        x, y = P(), P()
        assert self.C.BIO_new_bio_pair(ctypes.byref(x), room, ctypes.byref(y), room)
        a, b = L.SSL_new(self.cc), L.SSL_new(self.sc)
        L.SSL_set_bio(a, x, x); L.SSL_set_bio(b, y, y)
        L.SSL_set_connect_state(a); L.SSL_set_accept_state(b)
        for _ in range(20):
            L.SSL_do_handshake(a); L.SSL_do_handshake(b)
        return a, b

def cmd_write(n):
    a, b = pair()
    data = payload(n)
    if n == 0:
        a.write(b"")
        return
    sent = 0
    sent = a.write(data)
    assert sent == n, sent
    assert drain(b, n) == data

def cmd_plain(n):
    a, b = pair()
    data = b"\x00" * 10 + payload(n)
    a.write(data)
    drain(b, len(data))

def cmd_two(_):
    """One connection freed, then another, until an address is used again."""
    seen, r = set(), Raw("libssl.so.3")
    for _ in range(50):
        a, b = r.pair()
        r.L.SSL_write(a, b"POST /one", 9)
        r.L.SSL_free(a); r.L.SSL_free(b)
        if a in seen:
            return
        seen.add(a)
    raise SystemExit("no address was reused")

def cmd_retry(_):
    """A full pipe: the write wants to be retried, and the buffer moves."""
    r = Raw("libssl.so.3")
    a, b = r.pair(room=17000)
    first = ctypes.create_string_buffer(payload(40000), 40000)
    second = ctypes.create_string_buffer(payload(40000), 40000)
    out, sent, turn = ctypes.create_string_buffer(65536), 0, 0
    retries = 0
    while sent < 40000:
        src = (first, second)[turn % 2]; turn += 1
        n = r.L.SSL_write(a, ctypes.addressof(src) + sent, 40000 - sent)
        if n > 0:
            sent += n
        else:
            retries += 1
            while r.L.SSL_read(b, out, 65536) > 0:
                pass
    assert retries > 0

def cmd_copy(path):
    """A copy of the library under another name, loaded late."""
    r = Raw(path)
    a, b = r.pair()
    r.L.SSL_write(a, b"POST /copied", 12)
    r.L.SSL_read(b, ctypes.create_string_buffer(64), 64)

def cmd_load(path):
    """Any library, of which nothing is called."""
    ctypes.CDLL(path)

def cmd_sites(path):
    """A library that only says what it was told; where a connection is an address, any will do."""
    L = ctypes.CDLL(path)
    L.SSL_write.argtypes = L.SSL_read.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    cmd_sites.address = ssl = getattr(cmd_sites, "address", 0) + 4096
    for _ in range(3):
        assert L.SSL_write(ssl, b"POST /sites", 11) == 11
        assert L.SSL_write(ssl, b"POST /never", -1) == -1
        assert L.SSL_read(ssl, b"GET /sites", 10) == 10

def cmd_file(path):
    """A library of which files are sent without anybody here reading them."""
    L = ctypes.CDLL(path)
    P, I, N = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    L.SSL_write.argtypes = [P, P, I]
    L.SSL_write_ex2.argtypes = [P, P, N, ctypes.c_uint64, P]
    L.SSL_sendfile.argtypes, L.SSL_sendfile.restype = [P, I, ctypes.c_long, N, I], ctypes.c_ssize_t
    cmd_file.address = ssl = getattr(cmd_file, "address", 0) + 4096
    assert L.SSL_write(ssl, b"POST /file", 10) == 10
    assert L.SSL_sendfile(ssl, 3, 0, 5000, 0) == 5000
    assert L.SSL_sendfile(ssl, -1, 0, 700, 0) == -1
    written = N()
    assert L.SSL_write_ex2(ssl, b"the end", 7, 1, ctypes.byref(written)) == 1

def cmd_sendfile(_):
    """The real one, which refuses where the kernel doesn't encrypt."""
    r = Raw("libssl.so.3")
    r.L.SSL_sendfile.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_size_t, ctypes.c_int]
    r.L.SSL_sendfile.restype = ctypes.c_ssize_t
    a, b = r.pair()
    assert r.L.SSL_write(a, b"POST /sent", 10) == 10
    with open(CERT) as file:
        assert r.L.SSL_sendfile(a, file.fileno(), 0, 100, 0) < 0
    assert r.L.SSL_write(a, b"the rest", 8) == 8

def cmd_fork(_):
    a, b = pair()
    a.write(b"POST /parent"); drain(b, 12)
    pids = []
    for i in range(2):
        pid = os.fork()
        if pid == 0:
            a.write(b"POST /child%d" % i); drain(b, 12)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)

held = []
def cmd_open(_):
    held[:] = pair()
    held[0].write(b"POST /held"); drain(held[1], 10)

def cmd_more(n):
    data = payload(n, b"GET ")
    held[0].write(data); drain(held[1], n)
    held[1].write(data); drain(held[0], n)

for line in sys.stdin:
    name, _, argument = line.strip().partition(" ")
    globals()["cmd_" + name](int(argument) if argument.isdigit() else argument)
    print("done", flush=True)
