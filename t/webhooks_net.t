# Webhooks and the network: receivers that answer oddly, endlessly or not to the
# end, addresses, certificates, proxies from the environment, URLs, and a
# libcurl that is not there.  What webhooks.t has is not here again.
#
# All receivers are met at one time, since each takes some seconds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::IP;
use IO::Socket::SSL::Utils;
use MIME::Base64 qw(encode_base64);
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Pusher qw(subscribe_to);
use Chat::Receiver;
use Chat::Server qw(SCALE build_dir wait_for slurp spew);
use Chat::TLS qw(make_certificate);

# a worker's memory may grow so much; ASan keeps back what is freed, 256 MB
use constant SLACK => ($ENV{CHAT_ASAN} ? 300 : 12) * 1024 * 1024;

my $dir = build_dir() . "/t/webhooks_net-$$-receivers";

File::Path::make_path($dir);


# A certificate that is valid for a name and a time.

sub certificate {
    my ($name, $host, $begin, $end) = @_;

    my ($cert, $key) = CERT_create(
        subject => { CN => $host }, not_before => time() + $begin,
        not_after => time() + $end, CA => 1, purpose => 'server,sslCA',
        subjectAltNames => [ [ DNS => $host ] ]);

    spew("$dir/$name.pem", PEM_cert2string($cert));
    spew("$dir/$name.key", PEM_key2string($key));

    return [ "$dir/$name.key", "$dir/$name.pem" ];
}


my $day = 24 * 3600;
my %tls = (
    'trust'    => certificate('tls', 'localhost', -$day, $day),
    'tunnel'   => certificate('tunnel', 'hooks.example.com', -$day, $day),
    'tls-name' => certificate('name', 'other.example.com', -$day, $day),
    'tls-old'  => certificate('old', 'localhost', -2 * $day, -$day),
    'tls-own'  => certificate('own', 'localhost', -$day, $day),
);

spew("$dir/trusted.pem", join '', map { slurp("$dir/$_.pem") }
                                  qw(tls tunnel name old));


# What is taken at the first request, and what is tried again.

my @good = (qw(ok-continue ok-old ok-bare ok-trailer 204 299));
my @bad = (qw(301 410 429 503 cut torn early switch nothing no-head garbage
              chunks bad-chunk heads line));

my %r = map { $_ => Chat::Receiver->new(dir => $dir, name => $_,
                       (/tunnel/ ? 'tunnel' : 'tls') => $tls{$_}) }
        map({ "g-$_" } @good), map({ "b-$_" } @bad),
        qw(giant close url trust tls-name tls-old tls-own proxy tunnel direct
           late dead4);

$r{"g-$_"}->answer($_) for @good;
$r{"b-$_"}->answer("1*$_ 204") for @bad;
$r{giant}->answer('1*ok-giant 200');
$r{close}->answer('ok-close');

# IPv6, and localhost with one address where nobody takes connections
my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

$r{six} = Chat::Receiver->new(dir => $dir, name => 'six', host => '::1')
    if $ipv6;


# Fills the queue of a port on which nobody accepts: whoever connects then gets
# no answer, as from a machine that is off.

my @dead;

sub make_dead {
    my ($host, $port) = @_;

    my $listen = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port,
                                     Listen => 1, ReuseAddr => 1)
                 or die "listen: $@";

    push @dead, $listen;

    for (1 .. 8) {
        my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port,
                                    Blocking => 0);
        push @dead, $s if $s;
    }
}

make_dead('::1', $r{dead4}->port) if $ipv6;


sub hook {
    my ($name, $url, $more) = @_;

    return "webhook \"$url\" events=channel_occupied channels=$name-* "
           . (defined $more ? $more : '') . ";\n";
}


# The path has all that nginx.conf and a URL can have.
my $path = "/a;b/~!\$&'()*+,=:\@%7e%20?q={x}&w=%00&z";
my $url = $r{url}->url($path) =~ s{//}{//me:p%40ss-word@}r;

my $hooks = join '', map { hook($_, $r{$_}->url) }
            grep { !/^(?:url|close|proxy|tunnel|tls-own|late|direct|six)$/ }
            keys %r;

$hooks .= hook('url', $url)
          . hook('close', $r{close}->url, 'batch=off')
          . hook('proxied', 'http://hooks.example.com/hook')
          . hook('tunnel', 'https://hooks.example.com/hook');
$hooks .= hook('six', "http://[::1]:" . $r{six}->port . '/hook') if $ipv6;

my %proxies = (http_proxy => 'http://localhost:' . $r{proxy}->port,
               https_proxy => 'http://localhost:' . $r{tunnel}->port,
               no_proxy => 'localhost,::1,[::1]');

my $exports = join "\n", map { "export $_='$proxies{$_}'" } sort keys %proxies;

my $t = Chat::Pusher->new(
    workers => 2,
    shell   => $exports,
    main    => join('', map { "env $_;\n" } sort keys %proxies),
    app     => $hooks,
    http    => "chat_webhook_trusted_certificate $dir/trusted.pem;\n",
    more    => "location /console/ { chat_console; }\n",
);
my $server = $t->server;


# Another one, whose nginx.conf says nothing of certificates or proxies, and
# whose libcurl is none.

my $fake = "$dir/libcurl.so.4";
spew($fake, 'none');

my $bare = Chat::Server->new(
    shell => "export LD_LIBRARY_PATH='$dir' http_proxy=http://localhost:1",
    app   => hook('late', $r{late}->url) . hook('tls-own', $r{'tls-own'}->url),
    locations => <<'END');
        location = /messages { chat_publish chat new_message; }
        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
        location /console/ { chat_console; }
END


sub console {
    my ($port, $name) = @_;

    my $http = Chat::HTTP->new(port => $port);
    my $list = from_json($http->get('/console/webhooks',
                                    { 'X-Chat-Console' => 1 })->{body});
    my ($hook) = grep { $_->{channels}[0] eq "$name-*" }
                 @{ $list->{webhooks} };

    return $hook;
}


my ($late_http, $late_ws);

subtest 'libcurl is not there' => sub {
    {
        local $ENV{LD_LIBRARY_PATH} = $dir;
        my ($code, $out) = $bare->check_conf;

        isnt($code, 0, 'nginx -t fails');
        like($out, qr/"webhook" in \S+ \S+ needs libcurl\.so\.4, which can't/,
             'and says why');
        like($out, qr/ in \S*nginx\.conf:\d+$/m, 'and where');
    }

    $bare->expect_log(qr/needs libcurl\.so\.4/);
    is(($bare->check_conf)[0], 0, 'with it, all is well');

    # who starts nginx has seen that
    $bare->start;
    $late_http = Chat::HTTP->new(port => $bare->port);
    $late_ws = Chat::WebSocket->established(port => $bare->port);
    subscribe_to($late_ws, $_) for 'late-1', 'tls-own-1';

    ok(wait_for(10, sub {
        $bare->error_log =~ /\[alert\].*webhooks can't be sent, libcurl\.so\.4/
    }), 'logged where one is to be sent');
    $bare->expect_log(qr/chat webhooks can't be sent/);
    is($late_http->post('/messages', { content => 'x' })->{status}, 201,
       'messages are taken');
    is(scalar $r{late}->requests, 0, 'nothing is sent');

    # tried again after 10 s, which the last subtest waits for
    unlink $fake or die $!;
};


my ($herald, $memory);

subtest 'receivers that answer oddly' => sub {
    my $ws = $t->ws;

    # who sends is known by its library
    subscribe_to($ws, 'trust-0');
    $r{trust}->wait_texts(1);
    ($herald) = $server->senders;
    $memory = $server->worker_memory($herald);

    subscribe_to($ws, "$_-1") for sort grep { !/^(?:late|tls-own)$/ } keys %r;
    subscribe_to($ws, 'proxied-1');
    subscribe_to($ws, "close-$_") for 2 .. 10;

    for my $name (map { "g-$_" } @good) {
        is_deeply([ $r{$name}->wait_texts(1) ], [ "channel_occupied $name-1" ],
                  "$name: is taken");
    }

    for my $name (map { "b-$_" } @bad) {
        is_deeply([ $r{$name}->wait_texts(1) ], [ "channel_occupied $name-1" ],
                  "$name: is tried again");

        my @reqs = $r{$name}->requests;
        is($r{$name}->faults, '', "$name: the same");
        cmp_ok($reqs[1]{time} - $reqs[0]{time}, '>=', 0.9, "$name: later");
        is(scalar @reqs, 2, "$name: once");
    }

    # no sooner than all others: none of those was tried again
    is(scalar $r{"g-$_"}->requests, 1, "g-$_: once") for @good;

    is_deeply([ $r{close}->wait_texts(10) ],
              [ map { "channel_occupied close-$_" } 1 .. 10 ],
              'connections that end without a word: all arrive, in order');
    is($r{close}->faults, '', 'and nothing twice');

    is(scalar $r{giant}->wait_texts(1), 1, 'an answer of 1 GB');
    is($t->publish('chat', 'meanwhile') ? 1 : 0, 1, 'messages are taken');
    my $grown = $server->worker_memory($herald) - $memory;
    cmp_ok($grown, '<', SLACK * SCALE, 'no answer stays in memory');
    note("it has grown by $grown bytes");
};


subtest 'addresses' => sub {
    plan skip_all => 'there is no IPv6 here' if !$ipv6;

    is_deeply([ $r{six}->wait_texts(1) ], [ 'channel_occupied six-1' ],
              'an address in []');
    is_deeply([ $r{dead4}->wait_texts(1) ], [ 'channel_occupied dead4-1' ],
              'one of two addresses takes no connection');
    is(scalar $r{dead4}->requests, 1, 'which costs no try');
};


subtest 'certificates' => sub {
    is(scalar $r{trust}->wait_texts(2), 2, 'a trusted one');

    my %reason = ('tls-name' => qr/name|match/i, 'tls-old' => qr/expired/);

    for my $name (sort keys %reason) {
        ok(wait_for(10, sub { console($t->port, $name)->{tries} }),
           "$name: is tried");
        like(console($t->port, $name)->{last_error}, $reason{$name},
             "$name: refused, with the reason");
        is(scalar $r{$name}->requests, 0, "$name: nothing was sent");
    }
};


subtest 'proxies from the environment' => sub {
    my ($req) = ($r{proxy}->wait_texts(1), $r{proxy}->requests)[1];

    is($req->{path}, 'http://hooks.example.com/hook', 'http_proxy');
    is($r{proxy}->faults, '', 'as it would be sent without');

    is_deeply([ $r{tunnel}->wait_texts(1) ], [ 'channel_occupied tunnel-1' ],
              'https_proxy');
    is_deeply([ map { "$_->{method} $_->{path}" } $r{tunnel}->requests ],
              [ 'CONNECT hooks.example.com:443', 'POST /hook' ],
              'by a tunnel');
    ($req) = grep { $_->{method} eq 'CONNECT' } $r{tunnel}->requests;
    is(Chat::Receiver::header($req, 'X-Pusher-Key'), '',
       'the proxy gets no header of the request');
};


subtest 'what a URL may have' => sub {
    my ($req) = ($r{url}->wait_texts(1), $r{url}->requests)[1];

    is($req->{path}, $path, 'path and query, as they are written');
    is(Chat::Receiver::header($req, 'Authorization'),
       'Basic ' . encode_base64('me:p@ss-word', ''), 'user and password');

    my $shown = console($t->port, 'url')->{url};
    like($shown, qr{^http://localhost:\d+\Q$path\E$}, 'shown without');
    unlike(join("\n", $server->error_log,
                map { $t->http->get($_, { 'X-Chat-Console' => 1 })->{body} }
                qw(/console/webhooks /console/incidents /chat_status)),
           qr/ss-word/, 'nor is the password anywhere else');
};


subtest 'libcurl is there again' => sub {
    is_deeply([ $r{late}->wait_texts(1) ], [ 'channel_occupied late-1' ],
              'what has waited is sent');
    is(scalar $r{late}->requests, 1,
       'without a proxy: nginx.conf keeps no variable');

    ok(wait_for(10, sub { console($bare->port, 'tls-own')->{tries} }),
       'a certificate that nobody trusts: is tried');
    like(console($bare->port, 'tls-own')->{last_error}, qr/certificate/,
         'refused, with the reason');
    is(scalar $r{'tls-own'}->requests, 0, 'nothing was sent');
    $bare->finish;
};


$t->finish;
$_->down for values %r;
File::Path::remove_tree($dir) if Test::More->builder->is_passing;

done_testing();
