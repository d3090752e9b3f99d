/* Makes calls through mbedTLS, which weir does not know: ADDRESS PORT NAME AUTHORITY COUNT SECONDS.
 * One connection; it is kept open for some seconds after the last call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

static void check(int result, const char *what) {
  if (result < 0) {
    fprintf(stderr, "%s failed: -0x%04x\n", what, (unsigned)-result);
    exit(1);
  }
}

int main(int count, char **arguments) {
  if (count != 7) {
    fprintf(stderr, "usage: ADDRESS PORT NAME AUTHORITY COUNT SECONDS\n");
    return 2;
  }
  mbedtls_net_context net;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_ssl_config config;
  mbedtls_ssl_context ssl;
  mbedtls_x509_crt authority;
  mbedtls_net_init(&net);
  mbedtls_entropy_init(&entropy);
  mbedtls_ctr_drbg_init(&random);
  mbedtls_ssl_config_init(&config);
  mbedtls_ssl_init(&ssl);
  mbedtls_x509_crt_init(&authority);

  check(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0), "seeding");
  check(mbedtls_x509_crt_parse_file(&authority, arguments[4]), "reading the authority");
  check(mbedtls_net_connect(&net, arguments[1], arguments[2], MBEDTLS_NET_PROTO_TCP), "connecting");
  check(mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT), "configuring");
  mbedtls_ssl_conf_ca_chain(&config, &authority, NULL);
  mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
  check(mbedtls_ssl_setup(&ssl, &config), "setting up");
  check(mbedtls_ssl_set_hostname(&ssl, arguments[3]), "naming the host");
  mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
  check(mbedtls_ssl_handshake(&ssl), "the handshake");

  const char *body = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"the of\"}]}";
  char request[1024], answer[16384];
  for (int call = 0; call < atoi(arguments[5]); call++) {
    int length = snprintf(request, sizeof request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: %s:%s\r\n"
        "Authorization: Bearer sk-weir-mbedtls\r\nContent-Type: application/json\r\n"
        "x-play: {\"chunked\":false}\r\nContent-Length: %zu\r\n\r\n%s", arguments[3], arguments[2], strlen(body), body);
    check(mbedtls_ssl_write(&ssl, (unsigned char *)request, (size_t)length), "writing");
    /* The answer is an object, and nothing is behind it. */
    size_t read = 0;
    do {
      int more = mbedtls_ssl_read(&ssl, (unsigned char *)answer + read, sizeof answer - 1 - read);
      check(more > 0 ? more : -1, "reading");
      read += (size_t)more;
    } while (answer[read - 1] != '}');
    answer[read] = 0;
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
      fprintf(stderr, "no answer: %s\n", answer);
      return 1;
    }
  }
  sleep((unsigned)atoi(arguments[6]));
  mbedtls_ssl_close_notify(&ssl);
  mbedtls_net_free(&net);
  return 0;
}
