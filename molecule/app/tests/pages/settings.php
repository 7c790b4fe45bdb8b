<?php
foreach (explode(',', $argv[1] ?? $_GET['names']) as $name) {
    echo $name, '=', ini_get($name), "\n";
}
