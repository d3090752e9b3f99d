"""Makes calls with urllib3 over pyOpenSSL, so with the OpenSSL inside Python's `cryptography`."""

import itertools
import os
import threading
import warnings

import urllib3
from common import arguments, ready, report
from stdlib_calls import PATHS, body, headers

# It is deprecated, and still what some use.
warnings.simplefilter("ignore", DeprecationWarning)
from urllib3.contrib import pyopenssl  # noqa: E402


def call(pool, a, number):
    """Makes call `number` and reads its answer as it comes."""
    url = f"{os.environ['OPENAI_BASE_URL']}/{PATHS[a.api]}"
    answer = pool.request("POST", url, json=body(a, number), headers=headers(a), preload_content=False)
    events = 0
    for data in answer.stream(65536):
        events += data.count(b"data: ")
        if 0 < a.leave_after <= events:
            answer.close()
            break
    answer.release_conn()
    report(status=answer.status)


def main(a):
    pyopenssl.inject_into_urllib3()
    pool = urllib3.PoolManager(maxsize=a.concurrency, retries=False, ca_certs=os.environ["SSL_CERT_FILE"])
    if a.wait:
        call(pool, a, 0)
        ready()
    numbers = itertools.count()

    def work():
        while (number := next(numbers)) < a.count:
            call(pool, a, number)

    threads = [threading.Thread(target=work) for _ in range(a.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(arguments(list(PATHS)))
