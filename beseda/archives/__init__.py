"""A server in one file: making it while the server runs, proving that it is whole, and making a server of it again.

    beseda.db           the database, as it was at one moment
    signing.key
    attachments/5f/7-…  every file that the database names, unless it is on S3
    manifest.json       what all this is, with the SHA-256 and the size of each
    manifest.sha256     the manifest's own, as `sha256sum -c` reads it

A plain tar: files are mostly pictures, which no compression makes smaller, and to compress the rest would take the
server's CPU for longer than to write it takes its disk. Nothing in it is larger than it is in the archive. And who has
no Beseda at hand can unpack it with anything; `sha256sum` checks it.
"""


class ArchiveError(Exception):
    """It could not be made, or is not whole, or can't be restored: one sentence that names the file and the place."""
