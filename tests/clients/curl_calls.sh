#!/bin/bash
# Makes calls with curl: one process, which this shell becomes, and one connection unless
# --concurrency says otherwise. The arguments are those of common.py.
set -eu

api=chat model="" count=1 concurrency=1 stream=no usage=true play="" leave=0 wait=false
prompt="the of and to" prompt_bytes=0 version=http1.1
while [ $# -gt 0 ]; do
  case "$1" in
    --api) api=$2; shift ;;
    --model) model=$2; shift ;;
    --count) count=$2; shift ;;
    --concurrency) concurrency=$2; shift ;;
    --stream) stream=$2; shift ;;
    --no-usage) usage=false ;;
    --play) play=$2; shift ;;
    --prompt) prompt=$2; shift ;;
    --prompt-bytes) prompt_bytes=$2; shift ;;
    --leave-after) leave=$2; shift ;;
    --http2) version=http2 ;;
    --wait) wait=true ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
  esac
  shift
done

scratch=$(mktemp -d)
if [ "$prompt_bytes" -gt "${#prompt}" ]; then
  prompt="$prompt$(yes ' the' | head -n $(((prompt_bytes - ${#prompt}) / 4)) | tr -d '\n')"
fi

# The body of a call; $1 says whether it is a stream.
body() {
  case "$api" in
    chat)
      printf '{"model":"%s","messages":[{"role":"user","content":"%s"}],"stream":%s' \
        "$model" "$prompt" "$1"
      if $1 && $usage; then printf ',"stream_options":{"include_usage":true}'; fi
      printf '}' ;;
    responses) printf '{"model":"%s","input":"%s","stream":%s}' "$model" "$prompt" "$1" ;;
    embeddings) printf '{"model":"%s","input":"%s"}' "$model" "$prompt" ;;
    messages)
      printf '{"model":"%s","max_tokens":1024,"messages":[{"role":"user","content":"%s"}],' \
        "$model" "$prompt"
      printf '"stream":%s}' "$1" ;;
  esac
}
body true > "$scratch/true"
body false > "$scratch/false"

# One call, as lines of a curl configuration; $1 says whether it is a stream.
request() {
  case "$api" in
    chat) path=chat/completions ;;
    *) path=$api ;;
  esac
  printf 'url = "%s/%s"\n' "$OPENAI_BASE_URL" "$path"
  printf 'data-binary = "@%s/%s"\nheader = "content-type: application/json"\n' "$scratch" "$1"
  if [ "$api" = messages ]; then
    printf 'header = "x-api-key: %s"\n' "$ANTHROPIC_API_KEY"
    printf 'header = "anthropic-version: 2023-06-01"\n'
  else
    printf 'header = "authorization: Bearer %s"\n' "$OPENAI_API_KEY"
  fi
  if [ -n "$play" ]; then printf 'header = "x-play: %s"\n' "${play//\"/\\\"}"; fi
  # Curl itself can only leave after a time, not after an event.
  if [ "$leave" -gt 0 ]; then printf 'max-time = 1\n'; fi
  printf '%s\ncacert = "%s"\n' "$version" "$SSL_CERT_FILE"
  printf 'compressed\nno-buffer\nsilent\noutput = /dev/null\n'
}

{
  if $wait; then
    request false
    # The server answers this one when it is told to: the rest is sent after that.
    printf 'next\nurl = "%s/hold"\n' "${OPENAI_BASE_URL%/v1}"
    printf '%s\ncacert = "%s"\n' "$version" "$SSL_CERT_FILE"
    printf 'silent\noutput = /dev/null\nnext\n'
  fi
  for ((number = 0; number < count; number++)); do
    [ "$number" -gt 0 ] && printf 'next\n'
    case "$stream$((number % 2))" in
      yes* | mixed1) request true ;;
      *) request false ;;
    esac
  done
} > "$scratch/calls"

exec 3< "$scratch/calls"
printf '{"ready":%s}\n' $$
if [ "$concurrency" -gt 1 ]; then
  exec curl --parallel --parallel-max "$concurrency" --config /dev/fd/3
fi
exec curl --config /dev/fd/3
