<?php
// Runs `php` in the site's folder, as the site's user: creates the tables and the first user, once.
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = getenv('DEMO_DOMAIN');
$_SERVER['HTTPS'] = 'on';
require getcwd() . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
if (is_blog_installed()) {
    echo "present\n";
    exit(0);
}
// No mail leaves the demo.
function wp_new_blog_notification() {}
wp_install(
    'A boring shop',
    getenv('DEMO_USER'),
    'admin@' . getenv('DEMO_DOMAIN'),
    true,
    '',
    getenv('DEMO_PASSWORD'),
);
update_option('permalink_structure', '/%postname%/');
// Makes this month's folder; otherwise the first job or upload would.
wp_upload_dir();
echo "installed\n";
