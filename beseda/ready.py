"""What a server needs around it: a unit for systemd, and a proxy's lines. The files in `deploy/` are these texts."""

import shlex
from collections.abc import Sequence
from pathlib import PurePath

DOMAIN = "chat.example.org"
UPSTREAM = "127.0.0.1:8000"
PROGRAM = "/usr/local/bin/beseda"
DATA = PurePath("/var/lib/beseda")

UNIT = """\
# /etc/systemd/system/beseda.service, with the executable at /usr/local/bin/beseda and a user of its own:
#   useradd --system --no-create-home --shell /usr/sbin/nologin beseda
#   systemctl daemon-reload && systemctl enable --now beseda

[Unit]
Description=Beseda, a messenger server
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
# The one file is two processes, and it is the second one that serves.
NotifyAccess=all
User=beseda
Group=beseda
StateDirectory=beseda
StateDirectoryMode=0700
# With settings of yours: --config /etc/beseda/config.toml
ExecStart=/usr/local/bin/beseda serve --data /var/lib/beseda
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
WatchdogSec=30
# It is ready when the database is up to date, and a large one takes its time.
TimeoutStartSec=infinity
TimeoutStopSec=20
# Every socket is an open file: well above limits.sockets.
LimitNOFILE=65536
UMask=0077

CapabilityBoundingSet=
# Only with server.tls_cert and a port below 1024:
#CapabilityBoundingSet=CAP_NET_BIND_SERVICE
#AmbientCapabilities=CAP_NET_BIND_SERVICE
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
# With backup.folder outside of the data folder:
#ReadWritePaths=/mnt/backup
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

CADDY = """\
# Beseda behind Caddy, which gets the certificate by itself. In beseda's settings:
# server.public_url = "https://chat.example.org"

# When the server is down Caddy logs the requests that failed: without the secrets in their URLs.
{
    log {
        format filter {
            wrap console
            fields {
                request>uri query {
                    delete token
                    delete signature
                }
            }
        }
    }
}

chat.example.org {
    reverse_proxy 127.0.0.1:8000
}
"""

NGINX = """\
# Beseda behind nginx: /etc/nginx/sites-enabled/beseda. In beseda's settings:
# server.public_url = "https://chat.example.org"

# URLs hold secrets, so no log has their queries. Lesser errors than `crit` quote whole requests.
log_format beseda '$remote_addr [$time_local] "$request_method $uri" $status $body_bytes_sent';

map $http_upgrade $beseda_connection {
    default upgrade;
    ''      '';
}

server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name chat.example.org;
    ssl_certificate     /etc/ssl/chat.example.org.pem;
    ssl_certificate_key /etc/ssl/chat.example.org.key;

    access_log /var/log/nginx/beseda.log beseda;
    error_log  /var/log/nginx/beseda.error.log crit;
    client_max_body_size 26m;       # attachments.max_bytes, and a little

    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_request_buffering off;    # uploads go through as they come
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $beseda_connection;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
"""

_COMMENT = "# With settings of yours: --config /etc/beseda/config.toml\n"
_STATE = "StateDirectory=beseda\nStateDirectoryMode=0700\n"
_HOMES = ("/home/", "/root/")


def unit(command: Sequence[str], data: PurePath, user: str, group: str) -> str:
    """The systemd unit that runs this command as this user, with its data in this folder."""
    # Its quotes are the shell's; besides, it would put something else for these two.
    line = shlex.join(command).replace("%", "%%").replace("$", "$$")
    folder = shlex.quote(str(data)).replace("%", "%%")
    text = "# /etc/systemd/system/beseda.service\n\n" + UNIT[UNIT.index("[Unit]") :].replace(_COMMENT, "")
    text = text.replace(f"{PROGRAM} serve --data {DATA}", line)
    text = text.replace("User=beseda\nGroup=beseda\n", f"User={user}\nGroup={group}\n")
    if data != DATA:
        # systemd makes folders below /var/lib only; it has to be told of any other.
        text = text.replace(_STATE, f"ReadWritePaths={folder}\n")
    if any(home in f"{line} {data}" for home in _HOMES):
        text = text.replace("ProtectHome=yes\n", "")
    return text


def caddyfile(domain: str, upstream: str) -> str:
    """Caddy's file."""
    return CADDY.replace(DOMAIN, domain).replace(UPSTREAM, upstream)


def nginx_site(domain: str, upstream: str) -> str:
    """nginx's file."""
    return NGINX.replace(DOMAIN, domain).replace(UPSTREAM, upstream)
