"""As much of PycURL as `pycurl_calls.py` makes use of, over libcurl with NSS: no PycURL is built with it."""

import ctypes

CURL = ctypes.CDLL("libcurl-nss.so.4")
for name in ["curl_easy_init", "curl_multi_init", "curl_slist_append", "curl_multi_info_read"]:
    getattr(CURL, name).restype = ctypes.c_void_p

# Of curl.h and multi.h.
URL, POSTFIELDS, HTTPHEADER, CAINFO, ACCEPT_ENCODING = 10002, 10165, 10023, 10065, 10102
HTTP_VERSION, PIPEWAIT, WRITEFUNCTION, RESPONSE_CODE = 84, 237, 20011, 0x200002
CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2TLS = 2, 4
DONE = 1
Write = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_void_p] + [ctypes.c_size_t] * 2, ctypes.c_void_p)

CURL.curl_global_init(ctypes.c_long(3))


class Message(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("curl", ctypes.c_void_p), ("result", ctypes.c_int)]


def check(result):
    if result != 0:
        raise OSError(f"libcurl says {result}")


class Curl:
    def __init__(self):
        self.curl = ctypes.c_void_p(CURL.curl_easy_init())
        self.kept = {}

    def setopt(self, option, value):
        if option == WRITEFUNCTION:
            # What is raised would be lost in C, so nothing is.
            value = Write(lambda data, size, count, _, take=value: take(ctypes.string_at(data, size * count)))
        elif option == HTTPHEADER:
            lines, value = value, ctypes.c_void_p()
            for line in lines:
                value = ctypes.c_void_p(CURL.curl_slist_append(value, line.encode()))
        elif isinstance(value, str):
            value = value.encode()
        else:
            value = ctypes.c_long(value)
        self.kept[option] = value
        check(CURL.curl_easy_setopt(self.curl, ctypes.c_int(option), value))

    def getinfo(self, info):
        value = ctypes.c_long()
        check(CURL.curl_easy_getinfo(self.curl, ctypes.c_int(info), ctypes.byref(value)))
        return value.value


class CurlMulti:
    def __init__(self):
        self.multi = ctypes.c_void_p(CURL.curl_multi_init())
        self.running = {}

    def add_handle(self, curl):
        self.running[curl.curl.value] = curl
        check(CURL.curl_multi_add_handle(self.multi, curl.curl))

    def remove_handle(self, curl):
        del self.running[curl.curl.value]
        check(CURL.curl_multi_remove_handle(self.multi, curl.curl))

    def perform(self):
        check(CURL.curl_multi_perform(self.multi, ctypes.byref(ctypes.c_int())))

    def info_read(self):
        done, failed = [], []
        while message := CURL.curl_multi_info_read(self.multi, ctypes.byref(ctypes.c_int())):
            message = Message.from_address(message)
            assert message.kind == DONE
            curl = self.running[message.curl]
            if message.result == 0:
                done.append(curl)
            else:
                failed.append((curl, message.result, ""))
        return 0, done, failed

    def select(self, seconds):
        none = ctypes.c_int()
        milliseconds = ctypes.c_int(int(seconds * 1000))
        check(CURL.curl_multi_poll(self.multi, None, 0, milliseconds, ctypes.byref(none)))
