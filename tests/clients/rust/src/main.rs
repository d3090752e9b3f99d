//! Makes calls with reqwest, whose TLS is rustls on AWS-LC or on ring. The arguments are those of common.py,
//! and `--tls12` for that version of TLS; with `--answer FOLDER` it is a server instead.

#[cfg(feature = "answer")]
mod answer;

use std::error::Error;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lexopt::prelude::*;
#[cfg(feature = "answer")]
use reqwest::{Certificate, Client, ClientBuilder, Response, tls};
#[cfg(feature = "old")]
use reqwest_old::{Certificate, Client, ClientBuilder, Response, tls};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Options {
    api: String,
    model: String,
    count: u32,
    concurrency: u32,
    stream: String,
    no_usage: bool,
    play: String,
    prompt: String,
    leave_after: u32,
    wait: bool,
    http2: bool,
    tls12: bool,
    answer: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut options = Options {
        api: "chat".to_owned(),
        model: String::new(),
        count: 1,
        concurrency: 1,
        stream: "no".to_owned(),
        no_usage: false,
        play: String::new(),
        prompt: "the of and to".to_owned(),
        leave_after: 0,
        wait: false,
        http2: false,
        tls12: false,
        answer: None,
    };
    let mut prompt_bytes = 0;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        let Long(name) = argument else { return Err(argument.unexpected().into()) };
        match name {
            "no-usage" => options.no_usage = true,
            "wait" => options.wait = true,
            "http2" => options.http2 = true,
            "tls12" => options.tls12 = true,
            "answer" => options.answer = Some(arguments.value()?.into()),
            "api" => options.api = arguments.value()?.string()?,
            "model" => options.model = arguments.value()?.string()?,
            "stream" => options.stream = arguments.value()?.string()?,
            "play" => options.play = arguments.value()?.string()?,
            "prompt" => options.prompt = arguments.value()?.string()?,
            "count" => options.count = arguments.value()?.parse()?,
            "concurrency" => options.concurrency = arguments.value()?.parse()?,
            "leave-after" => options.leave_after = arguments.value()?.parse()?,
            "prompt-bytes" => prompt_bytes = arguments.value()?.parse()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let missing = usize::saturating_sub(prompt_bytes, options.prompt.len());
    options.prompt += &" the".repeat(missing / 4);
    Ok(options)
}

fn client(options: &Options) -> Result<Client> {
    let authority = std::fs::read(std::env::var("SSL_CERT_FILE")?)?;
    let mut builder = trusting(Certificate::from_pem(&authority)?);
    if !options.http2 {
        builder = builder.http1_only();
    }
    if options.tls12 {
        builder = at_most(builder, tls::Version::TLS_1_2);
    }
    Ok(builder.build()?)
}

#[cfg(feature = "answer")]
fn trusting(authority: Certificate) -> ClientBuilder {
    Client::builder().tls_certs_only([authority])
}

#[cfg(feature = "answer")]
fn at_most(builder: ClientBuilder, version: tls::Version) -> ClientBuilder {
    builder.tls_version_max(version)
}

#[cfg(feature = "old")]
fn trusting(authority: Certificate) -> ClientBuilder {
    Client::builder().add_root_certificate(authority)
}

#[cfg(feature = "old")]
fn at_most(builder: ClientBuilder, version: tls::Version) -> ClientBuilder {
    builder.max_tls_version(version)
}

#[cfg(feature = "answer")]
async fn answer(folder: &Path) -> Result<()> {
    answer::run(folder).await
}

#[cfg(feature = "old")]
async fn answer(_folder: &Path) -> Result<()> {
    Err("it has nothing to answer with".into())
}

impl Options {
    fn is_streamed(&self, number: u32) -> bool {
        self.api != "embeddings"
            && (self.stream == "yes" || self.stream == "mixed" && number % 2 == 1)
    }

    async fn send(&self, client: &Client, number: u32) -> Result<Response> {
        let is_streamed = self.is_streamed(number);
        let messages = json!([{ "role": "user", "content": self.prompt }]);
        let (base, path, mut body) = match self.api.as_str() {
            "embeddings" => ("OPENAI", "embeddings", json!({ "input": self.prompt })),
            "responses" => {
                ("OPENAI", "responses", json!({ "input": self.prompt, "stream": is_streamed }))
            }
            "messages" => (
                "ANTHROPIC",
                "v1/messages",
                json!({ "messages": messages, "stream": is_streamed, "max_tokens": 1024 }),
            ),
            _ => (
                "OPENAI",
                "chat/completions",
                json!({ "messages": messages, "stream": is_streamed }),
            ),
        };
        body["model"] = json!(self.model);
        if self.api == "chat" && is_streamed && !self.no_usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let key = std::env::var(format!("{base}_API_KEY"))?;
        let url = format!("{}/{path}", std::env::var(format!("{base}_BASE_URL"))?);
        let mut request = client.post(url).json(&body);
        request = if base == "ANTHROPIC" {
            request.header("x-api-key", key).header("anthropic-version", "2023-06-01")
        } else {
            request.bearer_auth(key)
        };
        if !self.play.is_empty() {
            request = request.header("x-play", &self.play);
        }
        Ok(request.send().await?)
    }

    async fn call(&self, client: &Client, number: u32) -> Result<()> {
        let mut answer = self.send(client, number).await?;
        let mut events = 0;
        while let Some(part) = answer.chunk().await? {
            events += part.windows(5).filter(|window| window == b"data:").count();
            if self.leave_after > 0
                && self.is_streamed(number)
                && events >= self.leave_after as usize
            {
                break;
            }
        }
        Ok(())
    }

    /// Makes a call and says how it went.
    async fn report(&self, client: &Client, number: u32) {
        match self.call(client, number).await {
            Ok(()) => println!("{{}}"),
            Err(error) => println!("{}", json!({ "error": error.to_string() })),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    #[cfg(feature = "ring")]
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_other| "there are ciphers already")?;
    let options = Arc::new(options()?);
    if let Some(folder) = &options.answer {
        return answer(folder).await;
    }
    let client = client(&options)?;
    if options.wait {
        options.report(&client, 0).await;
        println!("{}", json!({ "ready": std::process::id() }));
        std::io::stdin().lock().read_line(&mut String::new())?;
    }
    let next = Arc::new(AtomicU32::new(0));
    let workers: Vec<_> = (0..options.concurrency.max(1))
        .map(|_| {
            let (options, client, next) = (options.clone(), client.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.count {
                        break;
                    }
                    options.report(&client, number).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await?;
    }
    Ok(())
}
