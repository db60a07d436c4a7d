# chat_events: streams of server-sent events, by raw HTTP.  The rows S are those
# of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Events qw(path_of);
use Chat::HTTP qw(from_json from_text);
use Chat::HTTP2;
use Chat::Pusher qw(subscribe_to client_event join_presence);
use Chat::Server qw(wait_for APP_KEY);
use Chat::Token qw(fresh);

use constant STREAMS => 100;

my $t = Chat::Pusher->new(
    workers => 2,
    tls     => 1,
    h2c     => 1,
    app     => 'client_events on;',
    apps    => "chat_app 3 { key off-key; secret s; enabled off; }\n"
               . "chat_app 4 { key tls-key; secret s; tls_only on; }\n"
               . "chat_app 5 { key few-key; secret few-secret;\n"
               . "             max_connections 1; channels_per_connection 2; }\n"
               . "chat_app 6 { key late-key; secret late-secret;\n"
               . "             authorization_timeout 5s; }\n",
    more    => <<'END' =~ s/KEY/APP_KEY/er,
        location /apps/   { chat_api; }
        location /events/ { chat_events; chat_cors *; }
        location ~ ^/room/(.*)$ {
            chat_events room-$1 private-$1 app=17536051;
            gzip on;
            gzip_types text/event-stream;
            gzip_min_length 0;
        }
        location /named/ { rewrite ^/named/(.*)$ /events/KEY?channels=$1? last; }
        location = /guarded { chat_events private-guarded app=2; deny all; }
END
);
my $port = $t->port;
my $api = Chat::API->new(port => $port);

# a connection without a request keeps a worker that leaves
$api->get('channels');


sub client { return Chat::Events->open(port => $port, @_) }
sub try    { return Chat::Events->new(port => $port, @_) }


# An event that has come, whole, with an id of its own.

sub is_shown {
    my ($c, $event, $data, $name) = @_;

    my $before = $c->id;
    my $e = $c->event;

    is_deeply({ %{ $e || {} }, id => undef },
              { id => undef, event => $event, data => $data }, $name)
        or return diag(explain($e));

    isnt($e->{id}, $before, "$name: with an id of its own");
}


subtest 'a channel' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);

    is($c->header('content-type'), 'text/event-stream', 'S2: the type');
    like($c->header('cache-control'), qr/\bno-store\b/, 'S2: no-store');
    is($c->header('x-accel-buffering'), 'no', 'S2: not held back');
    is($c->header('access-control-allow-origin'), '*', 'S2: CORS');
    like($c->header('access-control-expose-headers'),
         qr/\bChat-Last-Event-ID\b/, 'S2: which shows the position');

    is_deeply($c->{first}, { retry => 1000, id => $c->id },
              'S2: retry and the position come at once');
    is($c->header('chat-last-event-id'), $c->id, 'S6: and in a header');

    my $data = $t->publish($channel, 'hello');
    is_shown($c, 'news', $data, 'S3: a message');
    is(from_text($data)->{content}, 'hello', 'which is data only');

    $t->publish('elsewhere', 'not for it');
    $api->trigger({ name => 'told', channel => $channel,
                    data => "one\ntwo\r\nthree\rfour\n" });
    is_shown($c, 'told', "one\ntwo\nthree\nfour\n", 'S3: lines');

    $api->trigger({ name => 'empty', channel => $channel, data => '' });
    is_shown($c, 'empty', '', 'S3: no data');

    # a name from outside begins no field
    $api->trigger({ name => "odd\ndata: forged\r\n\nid: 1",
                    channel => $channel, data => ' x' });
    is_shown($c, 'odd data: forged   id: 1', ' x', 'S3: a name with lines');

    $c->close;
};


subtest 'several channels' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $c = client(channels => "$one,$two,$one");
    my $raw = client(path => path_of("$one,$two", raw => 1));
    my $encoded = client(path => path_of("$one%2C$two"));
    my @data = map { $t->publish($_, "to $_") } $two, $one, $two;

    for my $i (0 .. 2) {
        my $channel = $i == 1 ? $one : $two;

        for my $client ($c, $encoded) {
            my $e = $client->event;

            is($e->{event}, 'news', 'S3: the name is there, too');
            is_deeply(from_text($e->{data}),
                      { channel => $channel, event => 'news',
                        data => $data[$i] },
                      'S3: an object, in the order of the channels');
        }

        is_shown($raw, 'news', $data[$i], 'S3: raw=1 is data only');
    }

    $_->close for $c, $raw, $encoded;
};


subtest 'other kinds of channels' => sub {
    my $presence = fresh('presence-');
    my $path = $api->target('GET', '/events/' . APP_KEY,
                            query => [ channels => $presence ]);
    my $c = client(path => $path);
    my $ws = $t->ws;

    is_deeply(join_presence($ws, $presence, 7),
              { count => 1, ids => [ '7' ], hash => { 7 => {} } },
              'S1: an events client is no member');

    client_event($ws, $presence, 'client-hello', 'from 7');
    is_shown($c, 'client-hello', 'from 7', 'S1: it listens');

    my $cache = fresh('cache-');
    my $last = $t->publish($cache, 'last');

    $c = client(channels => $cache);
    is_deeply($c->event, { id => $c->{first}{id}, event => 'news',
                           data => $last },
              'the cached event comes first, where the answer begins');

    my $again = client(channels => $cache, id => $c->id);
    my $next = $t->publish($cache, 'next');
    is_shown($c, 'news', $next, 'then live ones');
    is_shown($again, 'news', $next, 'and not where the client has it');

    $ws->disconnect;
    $_->close for $c, $again;
};


subtest 'who may' => sub {
    my $private = fresh('private-');
    my @query = (query => [ channels => $private ]);
    my $path = '/events/' . APP_KEY;

    my $c = try(path => path_of($private));
    is($c->{status}, 401, 'S8: a private channel without a signature');
    like($c->{body}, qr/auth_key/, 'and why');

    my $signed = $api->target('GET', $path, @query);
    $c = client(path => $signed);
    my $data = $t->publish($private, 'secret');
    is_shown($c, 'news', $data, 'S8: with a signature');
    $c->close;

    (my $other = $signed) =~ s/\Q$private\E/private-other/;
    my %bad = (
        'another channel' => $other,
        'another key'     => $signed =~ s/auth_key=[^&]*/auth_key=other-key/r,
        'old'             => $api->target('GET', $path, @query,
                                 auth => { auth_timestamp => time() - 700 }),
        'another path'    => $api->target('GET', $path, @query,
                                          sign => [ 'GET', '/events/x' ]),
        'another method'  => $api->target('GET', $path, @query,
                                          sign => [ 'POST' ]),
    );

    for my $name (sort keys %bad) {
        like(try(path => $bad{$name})->{status}, qr/^40[13]$/, "S8: $name");
    }

    # anywhere in a list, and of whatever kind
    for my $kind ('private-', 'presence-', 'private-cache-', 'presence-cache-',
                  'private-encrypted-', 'private-encrypted-cache-')
    {
        is(try(path => path_of("open,$kind$_"))->{status}, 401,
           "S8: $kind$_ behind an open channel") for 'a', 'b';
    }

    $c = Chat::Events->open(port => $port, path => '/room/7',
                            headers => { 'Accept-Encoding' => 'gzip' });
    $data = $t->publish('private-7', 'fixed');
    is(from_text($c->event->{data})->{data}, $data,
       'S8: a list of the configuration');
    is($c->header('content-encoding'), undef, 'S11: is not compressed');
    $c->close;

    is(try(path => '/guarded')->{status}, 403, 'S8: which nginx protects');
    is(try(path => '/room/7,private-8')->{status}, 200,
       'S8: a comma leads to no other channel');

    is(try(path => path_of($_ . '%23server-to-user-7'))->{status}, 403,
       "a user's own channel") for '', 'open,';
};


subtest 'mistakes' => sub {
    my $long = join ',', map { "c$_" } 1 .. 101;
    my $full = join ',', map { "c$_" } 1 .. 100;

    my @cases = (
        [ path_of($long), 400, qr/100/, 'S1: 101 channels' ],
        [ path_of(''), 400, qr/channels/i, 'S1: none' ],
        [ '/events/' . APP_KEY, 400, qr/channels/, 'S1: no parameter' ],
        [ path_of('a,b%20c'), 400, qr/channel/, 'S1: a name that is none' ],
        [ path_of('a' x 201), 400, qr/channel/, 'S1: a long one' ],
        [ path_of('a', key => 'nobody'), 404, qr/key/, 'S9: unknown key' ],
        [ path_of('a', key => 'tls-key'), 403, qr/TLS/, 'S9: TLS only' ],
        [ path_of('a', key => 'late-key'), 401, qr/auth_key/,
          'S8: authorization_timeout' ],
        [ path_of('a,b,c', key => 'few-key'), 400, qr/channels_per/,
          'S1: channels_per_connection' ],
    );

    for (@cases) {
        my ($path, $status, $like, $name) = @$_;
        my $c = try(path => $path);

        is($c->{status}, $status, $name);
        like($c->{body}, $like, "$name: and why");
    }

    is(try(path => path_of('a', key => 'off-key'))->{status}, 204,
       'S9: 204 where the app is disabled');
    is(client(path => path_of($full))->{status}, 200, 'S1: 100 channels');

    my $http = Chat::HTTP->new(port => $port);
    my $res = $http->request('POST', path_of('a'), {}, 'x');
    is($res->{status}, 405, 'another method');
    is($res->{headers}{allow}, 'GET, HEAD, OPTIONS', 'and which there are');

    $res = $http->request('HEAD', path_of('a'));
    is($res->{status}, 200, 'HEAD');
    is($res->{headers}{'content-type'}, 'text/event-stream', 'as the GET');
    like($res->{headers}{'chat-last-event-id'}, qr/\S/, 'with a position');

    $res = $http->request('OPTIONS', path_of('a'), {
        Origin => 'https://page.example',
        'Access-Control-Request-Method' => 'GET',
        'Access-Control-Request-Headers' => 'last-event-id' });
    is($res->{status}, 204, 'a preflight');
    is($res->{headers}{'access-control-allow-headers'}, 'last-event-id',
       'for the position');
};


# What the configuration has made of the request is what counts.

subtest 'a rewritten request' => sub {
    my $channel = fresh('chat-');
    my $c = client(path => "/named/$channel?channels=other");
    my $data = $t->publish($channel, 'x');

    is_shown($c, 'news', $data, 'by the name that nginx gives');
    $c->close;
};


subtest 'counted' => sub {
    my $channel = fresh('chat-');

    ok(wait_for(30, sub { $t->status->{connections} == 0 }),
       'those from before have gone');

    my $c = client(channels => $channel);

    is($t->status->{connections}, 1, 'a client is a connection');
    is_deeply(from_json($api->get("channels/$channel",
                  [ info => 'subscription_count' ])->{body}),
              { occupied => JSON::PP::true, subscription_count => 1 },
              'and a subscription');

    $c->close;
    ok(wait_for(10, sub { $t->status->{connections} == 0 }),
       'until it leaves');

    my $one = client(path => path_of('a', key => 'few-key'));
    my $two = try(path => path_of('a', key => 'few-key'));

    is($two->{status}, 503, 'max_connections');
    is($two->header('retry-after'), 1, 'S9: to come back');
    $one->close;
};


subtest 'silence' => sub {
    my $channel = fresh('quiet-');
    my $c = client(channels => $channel);
    my $first = $c->id;

    # 74 KB of the ring
    $t->publish('elsewhere', 'x' x 9000) for 1 .. 8;

    my $block = $c->block;
    is_deeply([ sort keys %$block ], [ 'id' ],
              'S7: an id alone behind 64 KB of others');
    isnt($block->{id}, $first, 'S7: a newer one');

    $block = $c->block(25);
    ok($block->{comment}, 'S7: a sign of life') or diag(explain($block));

    my $data = $t->publish($channel, 'after');
    is_shown($c, 'news', $data, 'then an event');
    $c->close;
};


subtest 'HTTP' => sub {
    my $channel = fresh('chat-');
    my $old = client(channels => $channel, version => '1.0');
    my $tls = Chat::Events->open(port => $t->server->tls_port, tls => 1,
                                 channels => $channel);

    ok(!$old->{chunked}, 'S11: HTTP/1.0 knows no chunks');

    my $h2 = Chat::HTTP2->new(port => $t->server->h2c_port);
    my @ids;

    for (1 .. STREAMS) {
        $h2->send($h2->request('GET', path_of($channel)));
        push @ids, $h2->{last};
    }

    ok($h2->read_until(10, sub {
           !grep { ($h2->{streams}{$_}{body} || '') !~ /^id: \S+\n\n/m } @ids
       }), 'S11: ' . STREAMS . ' streams on one connection');

    my $data = $t->publish($channel, 'to all');

    is_shown($old, 'news', $data, 'S11: HTTP/1.0');
    is_shown($tls, 'news', $data, 'S11: TLS');
    ok($h2->read_until(10, sub {
           !grep { $h2->{streams}{$_}{body} !~ /^data: \Q$data\E\n\n/m } @ids
       }), 'S11: HTTP/2, each');

    # some leave, the others stay
    $h2->send(join '', map { $h2->reset($_) } @ids[0 .. 49]);
    $data = $t->publish($channel, 'to the others');
    ok($h2->read_until(10, sub {
           !grep { $h2->{streams}{$_}{body} !~ /^data: \Q$data\E\n\n/m }
                 @ids[50 .. $#ids]
       }), 'S11: a reset stream takes no other with it');

    is($h2->{streams}{$ids[0]}{body} =~ /to the others/, '',
       'and gets nothing more');

    $t->server->reload;
    ok($h2->read_until(20, sub {
           !grep { !$h2->{streams}{$_}{end} } @ids[50 .. $#ids]
       }), 'S9: a leaving worker ends the streams');
    is(scalar(grep { $h2->{streams}{$_}{reset} } @ids[50 .. $#ids]), 0,
       'S9: in good order');

    for my $c ($old, $tls) {
        while (my $e = $c->event(20)) {
            last if $e->{end};
        }

        is($c->{ended}, 'well', 'S9: and the others');
    }
};


$t->finish;
done_testing;
