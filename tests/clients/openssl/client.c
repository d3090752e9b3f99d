/* Makes calls one after the other on one connection, with the OpenSSL that is linked into it. The arguments
 * are those of common.py. Every other call uses the functions that end in _ex. Ends at the first failure. */

#include <netdb.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 1 << 16 };

static SSL *ssl;
static const char *host, *path, *key, *api = "chat", *model = "", *play = "", *prompt = "the of and to";

static void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

/* An option's value, or NULL. */
static const char *option(char **arguments, const char *name)
{
    for (; *arguments; arguments++)
        if (strcmp(*arguments, name) == 0)
            return arguments[1] ? arguments[1] : "";
    return NULL;
}

static const char *option_or(char **arguments, const char *name, const char *otherwise)
{
    const char *value = option(arguments, name);
    return value ? value : otherwise;
}

/* Connects to https://host:port/path. */
static void connect_to(char *url)
{
    char *authority = strstr(url, "://") + 3;
    char *slash = strchr(authority, '/');
    path = strdup(slash);
    *slash = 0;
    host = strdup(authority);
    char *port = strchr(authority, ':');
    *port++ = 0;
    struct addrinfo *addresses, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    if (getaddrinfo(authority, port, &hints, &addresses) != 0)
        fail("looking up the host");
    int server = socket(addresses->ai_family, addresses->ai_socktype, 0);
    if (connect(server, addresses->ai_addr, addresses->ai_addrlen) != 0)
        fail("connecting");
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(context, getenv("SSL_CERT_FILE"), NULL) != 1)
        fail("reading the authority");
    ssl = SSL_new(context);
    if (SSL_set1_host(ssl, authority) != 1 || SSL_set_fd(ssl, server) != 1 || SSL_connect(ssl) != 1)
        fail("the handshake");
}

static void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list values;
    va_start(values, format);
    if (vsnprintf(text + length, SIZE - length, format, values) >= (int)(SIZE - length))
        fail("composing a request");
    va_end(values);
}

static void send_call(int number, int streamed)
{
    static char body[SIZE], request[SIZE];
    int messages = strcmp(api, "messages") == 0;
    const char *stream = streamed ? "true" : "false";
    *body = *request = 0;
    append(body, "{\"model\":\"%s\",\"stream\":%s,", model, stream);
    if (strcmp(api, "responses") == 0)
        append(body, "\"input\":\"%s\"}", prompt);
    else
        append(body, "\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}", prompt,
            messages ? ",\"max_tokens\":1024" : streamed ? ",\"stream_options\":{\"include_usage\":true}" : "");
    append(request, "POST %s/%s HTTP/1.1\r\nHost: %s\r\n", path, strcmp(api, "chat") == 0 ? "chat/completions" : api,
        host);
    append(request, messages ? "x-api-key: %s\r\nanthropic-version: 2023-06-01\r\n" : "Authorization: Bearer %s\r\n",
        key);
    if (*play)
        append(request, "x-play: %s\r\n", play);
    append(request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    size_t length = strlen(request), written = 0;
    if (number % 2 ? SSL_write_ex(ssl, request, length, &written) != 1
                   : (written = SSL_write(ssl, request, (int)length)) != length)
        fail("writing");
}

/* Reads an answer to its end. Knows only how the test's server ends one. */
static void receive(int number)
{
    static char answer[16 * SIZE];
    size_t length = 0, end = 0;
    int chunked = 0;
    while (!end || length < end) {
        size_t got = 0, room = sizeof answer - 1 - length;
        if (room == 0)
            fail("finding room for an answer");
        if (number % 2) {
            if (SSL_read_ex(ssl, answer + length, room, &got) != 1)
                fail("reading");
        } else {
            int result = SSL_read(ssl, answer + length, (int)room);
            if (result <= 0)
                fail("reading");
            got = result;
        }
        length += got;
        answer[length] = 0;
        char *body = strstr(answer, "\r\n\r\n");
        if (!end && !chunked && body) {
            char *field = strcasestr(answer, "\r\ncontent-length:");
            if (field && field < body)
                end = (size_t)(body + 4 - answer) + strtoul(field + 17, NULL, 10);
            else
                chunked = 1;
        }
        if (chunked && length > 5 && strcmp(answer + length - 5, "0\r\n\r\n") == 0)
            end = length;
    }
    printf("{\"status\": %.3s}\n", answer + 9);
    fflush(stdout);
}

static void call(int number, const char *stream)
{
    int streamed = strcmp(stream, "yes") == 0 || (strcmp(stream, "mixed") == 0 && number % 2);
    send_call(number, streamed);
    receive(number);
}

int main(int count, char **arguments)
{
    (void)count;
    const char *stream = option_or(arguments, "--stream", "no");
    int calls = atoi(option_or(arguments, "--count", "1"));
    api = option_or(arguments, "--api", api);
    model = option_or(arguments, "--model", model);
    play = option_or(arguments, "--play", play);
    prompt = option_or(arguments, "--prompt", prompt);
    key = getenv(strcmp(api, "messages") == 0 ? "ANTHROPIC_API_KEY" : "OPENAI_API_KEY");
    connect_to(strdup(getenv("OPENAI_BASE_URL")));
    if (option(arguments, "--wait")) {
        call(0, stream);
        printf("{\"ready\": %d}\n", (int)getpid());
        fflush(stdout);
        getchar();
    }
    for (int number = 0; number < calls; number++)
        call(number, stream);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    return 0;
}
