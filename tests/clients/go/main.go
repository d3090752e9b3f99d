// Makes calls with Go's net/http. The arguments are those of common.py. The TLS is OpenSSL's where the
// program is built with cgo (openssl.go), and Go's own where it isn't (native.go).
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

var (
	api         = flag.String("api", "chat", "chat or messages")
	model       = flag.String("model", "", "the model to ask for")
	count       = flag.Int("count", 1, "how many calls")
	concurrency = flag.Int("concurrency", 1, "how many at a time")
	stream      = flag.String("stream", "no", "no, yes or mixed")
	noUsage     = flag.Bool("no-usage", false, "don't ask streams for usage")
	play        = flag.String("play", "", "tells the server what to do")
	prompt      = flag.String("prompt", "the of and to", "what to say")
	promptBytes = flag.Int("prompt-bytes", 0, "pad the prompt to this")
	leaveAfter  = flag.Int("leave-after", 0, "leave a stream after N events")
	wait        = flag.Bool("wait", false, "call once, then wait for a line")
	http2       = flag.Bool("http2", false, "speak HTTP/2")
)

func streamed(number int) bool {
	return *stream == "yes" || *stream == "mixed" && number%2 == 1
}

// request makes call number's request.
func request(number int) (*http.Request, error) {
	body := map[string]any{
		"model":    *model,
		"messages": []map[string]string{{"role": "user", "content": *prompt}},
		"stream":   streamed(number),
	}
	path := os.Getenv("OPENAI_BASE_URL") + "/chat/completions"
	header := http.Header{"Content-Type": {"application/json"}}
	if *api == "messages" {
		path = os.Getenv("ANTHROPIC_BASE_URL") + "/v1/messages"
		body["max_tokens"] = 1024
		header.Set("X-Api-Key", os.Getenv("ANTHROPIC_API_KEY"))
		header.Set("Anthropic-Version", "2023-06-01")
	} else {
		header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
		if streamed(number) && !*noUsage {
			body["stream_options"] = map[string]bool{"include_usage": true}
		}
	}
	if *play != "" {
		header.Set("X-Play", *play)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	path = scheme + strings.TrimPrefix(path, "https")
	request, err := http.NewRequest(http.MethodPost, path, strings.NewReader(string(text)))
	if err == nil {
		request.Header = header
	}
	return request, err
}

func call(client *http.Client, number int) error {
	request, err := request(number)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if *leaveAfter == 0 || !streamed(number) {
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	lines := bufio.NewScanner(answer.Body)
	for events := 0; events < *leaveAfter && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data:") {
			events++
		}
	}
	return lines.Err()
}

// report makes a call and says how it went.
func report(client *http.Client, number int) {
	said := map[string]any{}
	if err := call(client, number); err != nil {
		said["error"] = err.Error()
	}
	line, _ := json.Marshal(said)
	fmt.Println(string(line))
}

func main() {
	flag.Parse()
	if missing := *promptBytes - len(*prompt); missing > 0 {
		*prompt += strings.Repeat(" the", missing/4)
	}
	client := &http.Client{Transport: newTransport()}
	if *wait {
		report(client, 0)
		fmt.Printf("{\"ready\":%d}\n", os.Getpid())
		bufio.NewReader(os.Stdin).ReadString('\n')
	}
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range max(1, *concurrency) {
		workers.Go(func() {
			for number := range numbers {
				report(client, number)
			}
		})
	}
	for number := range *count {
		numbers <- number
	}
	close(numbers)
	workers.Wait()
	client.CloseIdleConnections()
}
