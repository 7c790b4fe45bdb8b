<?php
foreach (['REMOTE_ADDR', 'HTTPS', 'REQUEST_SCHEME', 'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PROTO'] as $name) {
    echo $name, '=', $_SERVER[$name] ?? '', "\n";
}
