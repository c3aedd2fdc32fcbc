"""Who may ask the page, and what a browser may do with its answers.

The page has no login: it is for people on this machine. Other web pages in the same browser are not
such people. They cannot read answers (no CORS header is ever sent), and a name of theirs that
resolves to loopback (DNS rebinding) shows in the Host header, which must name the page itself.
"""

from pipeline.base.address import is_loopback

HEADERS = {
    # No script, style, image or connection from anywhere else; nothing written into the page runs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def is_ours(host: str | None, address: tuple[str, int]) -> bool:
    """Does a Host header name this server? It may as localhost, as an address of loopback, or as
    what was bound; always with its port."""
    name, _, port = (host or "").rpartition(":")
    if port != str(address[1]):
        return False
    name = name.strip("[]").lower()
    return name == address[0] or is_loopback(name)


def is_foreign(site: str | None) -> bool:
    """Did another web page send this (Sec-Fetch-Site)? Programs send none."""
    return site is not None and site not in ("same-origin", "none")


def refuses(host: str) -> str | None:
    """Why the page is not served at that address; None if it may be."""
    if is_loopback(host.strip("[]")):
        return None
    return (
        f"the page has no login, so it is served on loopback only, not on {host}; from elsewhere "
        "reach it through `ssh -L` or a proxy that asks who you are"
    )
