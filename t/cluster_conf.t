#!/usr/bin/perl

# chat_cluster: what nginx -t refuses, and what it says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Server qw(build_dir spew);
use Chat::TLS qw(make_certificate);

my $dir = build_dir() . "/t/cluster_conf-$$";
my $url = 'redis://127.0.0.1:6379';

File::Path::make_path($dir);
make_certificate("$dir/key.pem", "$dir/cert.pem");
make_certificate("$dir/other.key", "$dir/other.pem");
spew("$dir/empty", '');
spew("$dir/password", "sesame\n");


sub check {
    my ($lines, %args) = @_;

    return Chat::Server->new(http => $lines, %args)->check_conf;
}


sub good {
    my ($lines) = @_;

    my ($code, $out) = check($lines);

    is($code, 0, $lines) or diag($out);

    return;
}


sub bad {
    my ($lines, $like, %args) = @_;

    my ($code, $out) = check($lines, %args);

    is($code, 1, "$lines: refused");
    like($out, $like, 'and why');

    return;
}


# ---- URLs and parameters

good("chat_cluster $_;")
    for $url, 'valkey://localhost', 'redis://[::1]:6379/3', 'unix:/run/redis',
        'rediss://localhost', 'sentinel://one,two:26380/chat', "$url $url",
        "$url prefix=a.b_c-1 name=one replicas=2 keep=1000 lease=1s timeout=1m";

bad('chat_cluster prefix=a;', qr/must have the URL of a Redis or Valkey/);
bad('chat_cluster http://localhost;', qr/must begin with "redis:\/\//);
bad('chat_cluster redis://;', qr/must have a host/);
bad('chat_cluster redis://a:0;', qr/a port from 1 to 65535/);
bad('chat_cluster redis://a,b;', qr/must have one host/);
bad('chat_cluster redis://a/x;', qr/may have the number of a database/);
bad('chat_cluster redis://u:p@a;', qr/must not have a password/);
bad('chat_cluster sentinel://a;', qr/must end with the primary's name/);
bad('chat_cluster unix:run;', qr/must have a path/);
bad("chat_cluster $url $_;", qr/invalid parameter "\Q$_\E", it must /)
    for 'replicas=17', 'replicas=x', 'keep=999', 'lease=999ms', 'timeout=61s',
        'isolate=2h', 'prefix=a:b', 'prefix=', 'name=' . 'x' x 65;
bad("chat_cluster $url keep=1000 keep=1000;", qr/duplicate parameter "keep=/);
bad("chat_cluster $url name=a name=b;", qr/duplicate parameter "name=b"/);
bad("chat_cluster $url;\nchat_cluster $url;", qr/is duplicate/);


# ---- files

my $tls = "chat_cluster rediss://localhost;\n";

good("$tls chat_cluster_trusted_certificate $dir/cert.pem;");
good("$tls chat_cluster_certificate $dir/cert.pem;\n"
     . "chat_cluster_certificate_key $dir/key.pem;");
good("chat_cluster redis://me\@localhost;\n"
     . "chat_cluster_password $dir/password;");

bad("chat_cluster_password $dir/password;", qr/needs "chat_cluster"/);
bad('chat_cluster redis://me@localhost;',
    qr/the user "me" needs "chat_cluster_password" in .*nginx\.conf:\d+/);
bad("chat_cluster $url;\nchat_cluster_password $dir/none;",
    qr/password can't be read from "\Q$dir\E\/none" in .*nginx\.conf:\d+/);
bad("chat_cluster $url;\nchat_cluster_password $dir/empty;",
    qr/password can't be read from/);
bad("$tls chat_cluster_trusted_certificate $dir/empty;",
    qr/certificates of authorities can't be read from/);
bad("$tls chat_cluster_certificate $dir/none;\n"
    . "chat_cluster_certificate_key $dir/key.pem;",
    qr/certificate can't be read from/);
bad("$tls chat_cluster_certificate $dir/cert.pem;\n"
    . "chat_cluster_certificate_key $dir/other.key;",
    qr/key is not the certificate's/);
bad("$tls chat_cluster_certificate$_->[0] $dir/$_->[1];",
    qr/certificate and its key go together, and there is only/)
    for [ '', 'cert.pem' ], [ '_key', 'key.pem' ];


File::Path::remove_tree($dir);

done_testing();
