import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * Makes calls through Java's own TLS: ADDRESS PORT NAME AUTHORITY COUNT SECONDS. One connection; it is
 * kept open for some seconds after the last call.
 */
final class Calls {
  public static void main(String[] arguments) throws Exception {
    String name = arguments[2];
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    try (InputStream pem = Files.newInputStream(Path.of(arguments[3]))) {
      trusted.setCertificateEntry(
          "authority", CertificateFactory.getInstance("X.509").generateCertificate(pem));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);

    int port = Integer.parseInt(arguments[1]);
    SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(arguments[0], port);
    // Of itself Java names no host that has no dot.
    var parameters = socket.getSSLParameters();
    parameters.setServerNames(List.of(new SNIHostName(name)));
    socket.setSSLParameters(parameters);

    String body =
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"the of\"}]}";
    String request =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: " + name + ":" + port + "\r\n"
            + "Authorization: Bearer sk-weir-java\r\nContent-Type: application/json\r\n"
            + "x-play: {\"chunked\":false}\r\n"
            + "Content-Length: " + body.length() + "\r\n\r\n" + body;
    byte[] answer = new byte[16384];
    for (int call = 0; call < Integer.parseInt(arguments[4]); call++) {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
      // The answer is an object, and nothing is behind it.
      int length = 0;
      do {
        int more = socket.getInputStream().read(answer, length, answer.length - length);
        if (more <= 0) {
          throw new IllegalStateException("the answer is cut off");
        }
        length += more;
      } while (answer[length - 1] != '}');
      String text = new String(answer, 0, length, StandardCharsets.US_ASCII);
      if (!text.startsWith("HTTP/1.1 200")) {
        throw new IllegalStateException("no answer: " + text);
      }
    }
    Thread.sleep(1000L * Integer.parseInt(arguments[5]));
    socket.close();
  }
}
