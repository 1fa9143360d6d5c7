//! Addresses of databases, as they may be shown.

/// The address without its password.
pub(super) fn without_password(url: &str) -> String {
    let after = |start: usize, end: Option<usize>| {
        let end = end.unwrap_or(url.len());
        format!("{}(secret){}", &url[..start], &url[end..])
    };
    // Where a name with a password may stand: before the last `@` of the part with the host.
    if let Some(start) = url.find("://").map(|at| at + 3) {
        let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
        let who = url[start..end].rfind('@').map(|at| &url[start..start + at]);
        if let Some((name, password)) = who.and_then(|who| who.split_once(':')) {
            let from = start + name.len() + 1;
            return after(from, Some(from + password.len()));
        }
    }
    match url.find("password=") {
        Some(at) => {
            let from = at + "password=".len();
            after(from, url[from..].find(['&', ' ']).map(|length| from + length))
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("postgres://me:sesame@db:5432/hub", "postgres://me:(secret)@db:5432/hub"),
            ("postgres://me:se@same@db", "postgres://me:(secret)@db"),
            (
                "postgres://db/hub?password=sesame&user=me",
                "postgres://db/hub?password=(secret)&user=me",
            ),
            ("host=db password=sesame", "host=db password=(secret)"),
            ("postgres://me@db:5432/hub", "postgres://me@db:5432/hub"),
            ("postgres://db:5432/hub", "postgres://db:5432/hub"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
