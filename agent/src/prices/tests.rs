use weir_core::meter::catalogue::Sale;
use weir_core::provider::PriceContext;
use weir_core::units::{Counts, Tokens};

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn cost(catalogue: &Catalogue, model: &str) -> Option<String> {
    let context = PriceContext::default();
    let at = "2026-11-26T12:00:00Z".parse().unwrap();
    let sale = Sale { provider: "openai", host: None, model, context: &context, at };
    let tokens = Tokens { input_uncached: 1_000_000, ..Tokens::default() };
    let quote = catalogue.quote(&sale, &tokens, &Counts::default());
    quote.map(|quote| quote.cost.to_string())
}

const OURS: &str = "[[price]]\nmodel = 'ours'\nstandard = [{ input = '1' }]\n";
const HALF: &str = r#"{"price": [{"provider": "openai", "discount_percent": "50"}]}"#;

#[test]
fn files_are_read_in_the_order_of_their_names() {
    let folder = folder(&[("20-half.json", HALF), ("10-ours.toml", OURS), ("README", "no")]);
    let own = OwnPrices::read(folder.path()).unwrap();
    let catalogue = own.catalogue().unwrap();
    assert_eq!(cost(&catalogue, "ours").as_deref(), Some("1.00"));
    assert_eq!(cost(&catalogue, "gpt-4o").as_deref(), Some("1.25"));
}

#[test]
fn a_folder_that_is_not_there_says_nothing() {
    let own = OwnPrices::read(Path::new("/nonexistent/prices.d")).unwrap();
    assert_eq!(own, OwnPrices::default());
    let builtin = Catalogue::builtin().unwrap();
    assert_eq!(own.catalogue().unwrap().version(), builtin.version());
}

#[test]
fn every_error_of_every_file_is_reported() {
    let folder = folder(&[
        ("a.toml", "[[price]]\nmodel = 'a'\n[[price]]\nmodle = 'b'\n"),
        ("b.json", "{"),
        ("c.toml", OURS),
        ("d.toml", "price = 1\nprice = 2\n"),
    ]);
    let error = OwnPrices::read(folder.path()).unwrap_err().to_string();
    let error = error.replace(&folder.path().display().to_string(), "");
    insta::assert_snapshot!(error);
}

#[test]
fn versions_are_kept_and_price_as_they_did() {
    let state = tempfile::tempdir().unwrap();
    let own = OwnPrices::read(folder(&[("a.toml", OURS)]).path()).unwrap();
    let catalogue = own.catalogue().unwrap();
    own.kept().keep(state.path(), catalogue.version()).unwrap();
    let again = Kept::read(state.path(), catalogue.version()).unwrap().catalogue().unwrap();
    assert_eq!(again.version(), catalogue.version());
    assert_eq!(cost(&again, "ours").as_deref(), Some("1.00"));
    assert!(matches!(Kept::read(state.path(), "../../etc/x"), Err(KeptError::Name(_))));
    assert!(matches!(Kept::read(state.path(), "2020-01-01-00000000"), Err(KeptError::File { .. })));
}

#[test]
fn not_every_version_is_kept_for_ever() {
    let state = tempfile::tempdir().unwrap();
    let kept = OwnPrices::default().kept();
    for version in 0..30 {
        kept.keep(state.path(), &format!("v{version}")).unwrap();
    }
    let left = fs::read_dir(state.path().join("prices")).unwrap().count();
    assert_eq!(left, 24);
    assert!(Kept::read(state.path(), "v29").is_ok());
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let folder = folder(&[("a.json", "0123456789")]);
    assert!(bounded(&folder.path().join("a.json"), 9).is_err());
    assert!(bounded(&folder.path().join("a.json"), 10).is_ok());
}
