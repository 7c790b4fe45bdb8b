<?php
// The same as ../node.php, below a path that belongs to admin.
require dirname(__DIR__) . '/node.php';
