#!/usr/bin/perl

# The way of a node to its engine: TLS, with the right and with wrong
# certificates, and a user who may do no more than the documents say.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Engine;
use Chat::HTTP;
use Chat::Server qw(build_dir free_port slurp spew wait_for);
use Chat::TLS qw(make_certificate);

my $dir = build_dir() . "/t/cluster_tls-$$";
my $tls = free_port();

File::Path::make_path($dir);
make_certificate("$dir/key.pem", "$dir/cert.pem");
make_certificate("$dir/other.key", "$dir/other.pem");

# the user of conf/cluster.md
my ($rights) = slurp("$FindBin::Bin/../conf/cluster.md")
               =~ /ACL SETUSER chat on >PASSWORD (.*)/;

my $engine = Chat::Engine->new(conf => <<"END");
tls-port $tls
tls-cert-file $dir/cert.pem
tls-key-file $dir/key.pem
tls-auth-clients no
user chat on >sesame $rights
user poor on >sesame ~* +role +hmget
END

spew("$dir/password", "sesame\n");
spew("$dir/wrong", "open\n");


# What a node with these lines, where OWN is a prefix of its own, answers to a
# message; and what it has logged, which is like this in the end.

sub node {
    my ($like, @lines) = @_;

    my $prefix = 'p' . ++our $serial;

    # the user may see keys of this one only
    $prefix = 'chat' if "@lines" =~ /chat@/;
    $engine->command('FLUSHALL') if $prefix eq 'chat';

    my $server = Chat::Server->new(http => join("\n",
        map { s/OWN/$prefix/r } @lines));

    $server->expect_log(qr/\[crit\].* chat cluster: /);
    $server->start;

    my $http = Chat::HTTP->new(port => $server->port, timeout => 30);
    my $status = $http->post('/messages', { content => 'text' })->{status};

    wait_for(20, sub { $server->error_log =~ $like });

    my $log = $server->error_log;

    $server->finish;

    return ($status, $log);
}


sub works {
    my ($name, @lines) = @_;

    my ($status, $log) = node(qr/^/, @lines);

    is($status, 201, $name) or diag($log);
}


sub fails {
    my ($name, $like, @lines) = @_;

    my ($status, $log) = node($like, @lines);

    is($status, 503, "$name: refused");
    like($log, $like, "$name: and why");
    unlike($log, qr/sesame|\bopen\b/, "$name: no password is in the log");
}


my $trusted = "chat_cluster_trusted_certificate $dir/cert.pem;";

works('TLS', "chat_cluster rediss://localhost:$tls prefix=OWN timeout=10s;",
      $trusted);
fails('an unknown authority', qr/SSL_connect\(\) failed: .*certificate/,
      "chat_cluster rediss://localhost:$tls prefix=OWN timeout=1s;",
      "chat_cluster_trusted_certificate $dir/other.pem;");
fails('another name', qr/SSL_connect\(\) failed: .*mismatch/,
      "chat_cluster rediss://127.0.0.1:$tls prefix=OWN timeout=1s;", $trusted);
fails('TLS where there is none', qr/chat cluster: /,
      "chat_cluster rediss://127.0.0.1:@{[$engine->port]} prefix=OWN"
      . ' timeout=1s;', $trusted);

{
    my $port = free_port();
    my $strict = Chat::Engine->new(conf => <<"END");
tls-port $port
tls-cert-file $dir/cert.pem
tls-key-file $dir/key.pem
tls-ca-cert-file $dir/other.pem
END
    my $url = "chat_cluster rediss://localhost:$port prefix=OWN";

    works('a certificate of the node\'s own', "$url timeout=10s;", $trusted,
          "chat_cluster_certificate $dir/other.pem;",
          "chat_cluster_certificate_key $dir/other.key;");
    fails('none, where the engine wants one', qr/chat cluster: .*localhost/,
          "$url timeout=1s;", $trusted);
}

works('a user with a password',
      "chat_cluster redis://chat\@127.0.0.1:@{[$engine->port]} timeout=10s;",
      "chat_cluster_password $dir/password;");
fails('a wrong password', qr/chat cluster: .*WRONGPASS/,
      "chat_cluster redis://chat\@127.0.0.1:@{[$engine->port]} timeout=1s;",
      "chat_cluster_password $dir/wrong;");
fails('a user who may run no script', qr/chat cluster: .*NOPERM/,
      "chat_cluster redis://poor\@127.0.0.1:@{[$engine->port]} prefix=OWN"
      . ' timeout=3s;', "chat_cluster_password $dir/password;");
works('the second of two URLs',
      "chat_cluster redis://127.0.0.1:1 rediss://localhost:$tls prefix=OWN"
      . ' timeout=10s;', $trusted);

done_testing();
