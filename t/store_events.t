# Triggered events that are kept (store, in chat_app), and requests that are
# sent again (idempotency_key, Idempotency-Key): of API and messages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Encode ();
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

use Chat::API qw(escape is_ok is_plain);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to is_event);

my $serial = 0;
my %other = (app => 2, key => 'other-key', secret => 'other-secret');
my $time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

my $locations = <<'END_OF_LOCATIONS';
        location /apps/ { chat_api; }
        location = /history { chat_history $http_x_channel app=17536051; }
        location = /history/2 { chat_history $http_x_channel app=2; }
END_OF_LOCATIONS


sub fresh { return shift() . sprintf '%04d', ++$serial }


# All of a channel, oldest first, and its text.

sub history {
    my ($t, $channel, $path) = @_;

    my $res = $t->http->get(($path || '/history') . '?after=0&limit=1000',
                            { 'X-Channel' => $channel });

    die "history: $res->{status} $res->{body}" unless $res->{status} == 200;

    return (from_json($res->{body}), $res->{body});
}


sub has_history {
    my ($t, $channel, $want, $name) = @_;

    my ($all) = history($t, $channel);

    is_deeply([ map { [ @$_{qw(id event data)} ] } @$all ],
              [ map { [ @$_{qw(id event data)} ] } @$want ],
              "$name: history") or diag(json_bytes($all));
}


sub event { return { name => 'e', data => 'd', @_ } }


# The id that an answer gives a channel's event.

sub id_of {
    my ($res, $channel) = @_;

    my $body = eval { from_json($res->{body}) } || {};

    return ($body->{channels}{$channel} || {})->{id} || 0;
}


sub stored {
    my ($t, $any) = @_;


    subtest 'what is stored' => sub {
        my ($ws, $other) = $t->spread(2);
        my $c = fresh('stored-');
        my @want;

        subscribe_to($_, $c) for $ws, $other;

        for my $data ('plain', '', '{"x":1}', 'null', ' ',
                      "\"\\\n\r\t\x{2028}\x{1f600}\0\x{7f}\x{e9}",
                      'x' x 10240, "\x{1f600}" x 2560)
        {
            my $res = $any->()->trigger(event(channel => $c, data => $data,
                                              name => "n\x{e9}w"));
            my $id = id_of($res, $c);

            is_ok($res, { channels => { $c => { id => $id } } },
                  'P85: the answer has the id');
            like($res->{body}, qr/"id":[1-9]\d*\}/, 'a number');
            is_event($_->next_event, "n\x{e9}w", $c, $data,
                     'P32: live: data as it was triggered') for $ws, $other;
            push @want, { id => $id, event => "n\x{e9}w", data => $data };
        }

        has_history($t, $c, \@want, 'P32');

        my ($all, $text) = history($t, $c);
        like($text, qr/^\[\{"id":\d+,"event":"[^"]+","data":"plain",
                       "created_at":"$time"\}[,\]]/x, 'its members');
        is(join(' ', map { scalar keys %$_ } @$all), '4 ' x $#$all . 4,
           'no others');

        my $last = $want[-2]{id};
        my $res = $t->http->get("/history?after=$last",
                                { 'X-Channel' => $c });
        is(from_json($res->{body})->[0]{id}, $want[-1]{id}, 'after an id');
        $t->nothing('each came once', $ws, $other);
    };


    subtest 'which channels' => sub {
        my $ws = $t->ws;

        for my $c ('exact', 'stored-', 'stored-x@,.;', 'private-s-1',
                   'cache-s-1', 'presence-s-1', 'private-encrypted-s-1')
        {
            my $res = $any->()->trigger(event(channel => $c));
            my $id = id_of($res, $c);

            is_ok($res, { channels => { $c => { id => $id } } }, $c);
            is((history($t, $c))[0][-1]{id}, $id, "$c: is there");
        }

        for my $c ('exactly', 'exac', 'Exact', 'stored', 'Stored-1',
                   'xstored-1', 'private-stored-1', 's-1', 'private-s')
        {
            my $res = $any->()->trigger(event(channel => $c));

            is($res->{body}, '{}', "$c: no id");
            is((history($t, $c))[1], '[]', "$c: is not stored");
        }

        my $c = fresh('stored-');
        is($any->(%other)->trigger(event(channel => $c))->{body}, '{}',
           'another app: no id');
        is((history($t, $c, '/history/2'))[1], '[]', 'not stored');
        is((history($t, $c))[1], '[]', 'not here, either');
    };


    subtest 'P85: many channels' => sub {
        my ($ws) = $t->spread(1);
        my ($a, $b, $plain) = (fresh('stored-'), fresh('stored-'),
                               fresh('plain-'));

        subscribe_to($ws, $_) for $a, $b, $plain;

        my $res = $any->()->trigger(event(channels => [ $a, $plain, $b ]));
        my ($ida, $idb) = (id_of($res, $a), id_of($res, $b));

        is_ok($res, { channels => { $a => { id => $ida }, $plain => {},
                                    $b => { id => $idb } } }, 'an id each');
        cmp_ok($ida, '!=', $idb, 'which differ');
        is(join(' ', sort map { $ws->next_event->{channel} } 1 .. 3),
           join(' ', sort $a, $b, $plain), 'all are sent');
        has_history($t, $a, [ { id => $ida, event => 'e', data => 'd' } ], $a);
        has_history($t, $b, [ { id => $idb, event => 'e', data => 'd' } ], $b);

        $res = $any->()->trigger(event(channels => [ $a, $plain ],
                                       info => 'subscription_count'));
        is_ok($res, { channels => { $a => { id => id_of($res, $a),
                                            subscription_count => 1 },
                                    $plain => { subscription_count => 1 } } },
              'P87: with info');

        my @many = map { fresh('stored-') } 1 .. 100;
        $res = $any->()->trigger(event(channels => \@many));
        my %ids = map { id_of($res, $_) => 1 } @many;
        is(scalar(keys %ids), 100, '100 channels, 100 ids');
        is_ok($res, { channels => { map { $_ => { id => id_of($res, $_) } }
                                    @many } }, '100 channels');
        $t->fence($ws);

        $res = $any->()->trigger(event(channels => [ $a, $a, $a ],
                                       channel => $a));
        is(scalar(grep { $_->{id} == id_of($res, $a) } @{(history($t, $a))[0]}),
           1, 'doubles are stored once');
        is(scalar(@{(history($t, $a))[0]}), 3, 'that is all');
    };


    subtest 'P88: a batch' => sub {
        my ($ws) = $t->spread(1);
        my ($a, $plain) = (fresh('stored-'), fresh('plain-'));

        subscribe_to($ws, $_) for $a, $plain;

        my $res = $any->()->batch([ event(channel => $a, data => '1'),
            event(channel => $plain, data => '2'),
            event(channel => $a, data => '3', info => 'subscription_count'),
            event(channel => $plain, data => '4', info =>
                  'subscription_count') ]);
        my @ids = map { $_->{id} } @{ from_json($res->{body})->{batch} };

        is_ok($res, { batch => [ { id => $ids[0] }, {},
                  { id => $ids[2], subscription_count => 1 },
                  { subscription_count => 1 } ] }, 'P88: aligned');
        cmp_ok($ids[0], '<', $ids[2], 'in order');
        has_history($t, $a, [ { id => $ids[0], event => 'e', data => '1' },
                              { id => $ids[2], event => 'e', data => '3' } ],
                    'P88');
        is(join(' ', sort map { $ws->next_event->{data} } 1 .. 4), '1 2 3 4',
           'all are sent');

        is_plain($any->()->batch([ event(channel => $a),
                                   event(channel => $a, data => 1) ]), 400,
                 qr/\S/, 'P90: one is bad');
        is_plain($any->()->batch([ event(channel => $a),
                     event(channel => $a, data => 'x' x 10241) ]), 413,
                 qr/\S/, 'P89: one is too long');
        is(scalar(@{(history($t, $a))[0]}), 2, 'P90: nothing is stored');
        $t->nothing('P90: nothing is sent', $ws);
    };


    subtest 'who else has to do with it' => sub {
        my ($ws, $other) = $t->spread(2);
        my $c = fresh('stored-');

        subscribe_to($_, $c) for $ws, $other;

        my $res = $any->()->trigger(event(channel => $c,
                                          socket_id => $ws->socket_id));
        is_event($other->next_event, 'e', $c, 'd', 'P86: to others');
        $t->nothing('P86: not to the sender', $ws);
        is((history($t, $c))[0][0]{id}, id_of($res, $c), 'P86: but stored');

        $res = $any->()->post("channels/$c/events", 'raw',
                              query => [ name => 'old' ]);
        is_ok($res, { channels => { $c => { id => id_of($res, $c) } } },
              'deprecated', 202);
        is((history($t, $c))[0][1]{data}, 'raw', 'is stored');

        # messages in the same channel
        my $message = $t->publish($c, 'hello');
        my ($all) = history($t, $c);
        is(join(' ', map { defined $_->{content} ? 'message' : 'event' }
                     @$all), 'event event message', 'messages and events');
        is($all->[2]{id}, from_json(Encode::encode('UTF-8', $message))->{id},
           'by their ids');
        ok(exists $all->[2]{updated_at} && !exists $all->[2]{event},
           'each in its own shape');

        $c = fresh('cache-s-');
        $any->()->trigger(event(channel => $c, data => 'cached'));
        my $late = $t->ws;
        subscribe_to($late, $c);
        is_event($late->next_event, 'e', $c, 'cached',
                 'P54: a cache channel keeps it, too');

        is($t->status->{messages_stored} > 0, 1, 'messages_stored');
    };


    subtest 'order' => sub {
        my @ws = $t->spread(2);
        my $c = fresh('stored-');
        my $n = 200;

        subscribe_to($_, $c) for @ws;

        my @apis = map { Chat::API->new(port => $t->port) } 1 .. 4;

        for my $i (0 .. $#apis) {
            $apis[$i]->http->send_raw(join '', map {
                $apis[$i]->request_bytes('POST', 'events', body => json_bytes(
                    event(channel => $c, data => "$i.$_")))
            } 1 .. $n);
        }

        my %id;

        for my $i (0 .. $#apis) {
            for (1 .. $n) {
                my $res = $apis[$i]->http->read_response('POST');

                die "$res->{status} $res->{body}" if $res->{status} != 200;
                $id{"$i.$_"} = id_of($res, $c);
            }
        }

        my @want = sort { $id{$a} <=> $id{$b} } keys %id;

        is(join(' ', map { $_->{data} } @{(history($t, $c))[0]}), "@want",
           'history has the ids that were answered');
        for my $ws (@ws) {
            is(join(' ', map { $ws->next_event->{data} } @want), "@want",
               'who listens hears them in that order');
        }

        $t->nothing('each once', @ws);
    };
}


# Asks at every worker; the answers' bodies, if they are good, else what
# they are.

sub again {
    my ($apis, $cb) = @_;

    return map {
        my $res = $cb->($_);
        $res->{status} =~ /^20[012]$/ ? $res->{body}
                                      : "$res->{status} $res->{body}";
    } @$apis, @$apis;
}


sub idempotency {
    my ($t, $any, @apis) = @_;

    my $times = 2 * @apis;


    subtest 'idempotency_key of triggers' => sub {
        my ($ws) = $t->spread(1);

        for my $c (fresh('plain-'), fresh('stored-')) {
            subscribe_to($ws, $c);

            for my $way ('member', 'header') {
                my $key = fresh('key');
                my $data = fresh('data');
                my %event = (channel => $c, data => $data,
                             info => 'subscription_count');
                my @how = $way eq 'header'
                          ? (headers => { 'Idempotency-Key' => $key }) : ();

                $event{idempotency_key} = $key if $way eq 'member';

                my @got = again(\@apis, sub {
                    $_[0]->trigger(event(%event), @how);
                });

                like($got[0], qr/"subscription_count":1/, "$way: an answer");
                is(join("\n", @got), join("\n", ($got[0]) x $times),
                   "$way: the same for all");
                is_event($ws->next_event, 'e', $c, $data, "$way: delivered");
                $t->nothing("$way: once", $ws);

                # an answer is that of the first, whatever has happened since
                my $more = $t->ws;
                subscribe_to($more, $c);
                @got = (@got, again(\@apis, sub {
                    $_[0]->trigger(event(%event, data => 'other',
                        idempotency_key => $key));
                }));
                is(join("\n", @got), join("\n", ($got[0]) x @got),
                   "$way: later, too, and of another body");
                $t->nothing("$way: and it is not sent", $ws, $more);
                $t->close_all($more);
            }

            is(scalar(@{(history($t, $c))[0]}), $c =~ /^stored/ ? 2 : 0,
               "$c: stored once");
        }
    };


    subtest 'idempotency_key of batches' => sub {
        my ($ws) = $t->spread(1);
        my ($a, $b) = (fresh('stored-'), fresh('plain-'));
        my $key = fresh('key');

        subscribe_to($ws, $_) for $a, $b;

        my @got = again(\@apis, sub {
            $_[0]->batch({ idempotency_key => $key, batch => [
                event(channel => $a), event(channel => $b) ] });
        });

        like($got[0], qr/^\{"batch":\[\{"id":\d+\},\{\}\]\}$/, 'an answer');
        is(join("\n", @got), join("\n", ($got[0]) x $times),
           'the same for all');
        is(join(' ', sort map { $ws->next_event->{channel} } 1, 2),
           join(' ', sort $a, $b), 'delivered');
        $t->nothing('once', $ws);
        is(scalar(@{(history($t, $a))[0]}), 1, 'stored once');

        # another kind of request, another app
        my %event = (channel => $b, idempotency_key => $key);
        is($any->()->trigger(event(%event))->{body}, '{}',
           'an event with that key is another request');
        is_event($ws->next_event, 'e', $b, 'd', 'delivered');

        my $theirs = $t->ws_of('other-key');
        subscribe_to($theirs, $b);
        is($any->(%other)->trigger(event(%event))->{body}, '{}',
           "so is another app's");
        is_event($theirs->next_event, 'e', $b, 'd', 'delivered to theirs');
        $t->nothing('not to ours', $ws);
        $any->(%other)->trigger(event(%event));
        ok($theirs->nothing_waits, 'once');
    };


    subtest 'the deprecated way' => sub {
        my ($ws) = $t->spread(1);
        my $c = fresh('plain-');
        my $key = fresh('key');

        subscribe_to($ws, $c);

        for my $n (1 .. $times) {
            my $res = $any->()->post("channels/$c/events", 'raw',
                query => [ name => 'e' ],
                headers => { 'Idempotency-Key' => $key });
            is_ok($res, {}, "answer $n", 202);
        }

        is_event($ws->next_event, 'e', $c, 'raw', 'delivered');
        $t->nothing('once', $ws);
    };


    subtest 'keys' => sub {
        my ($ws) = $t->spread(1);
        my $c = fresh('plain-');

        subscribe_to($ws, $c);

        for my $key ('k' x 255, 'K' x 255, ' ', "\x{e9}\x{1f600}", "\0", '"',
                     'a', 'A', 'a ', '!')
        {
            is($any->()->trigger(event(channel => $c,
                idempotency_key => $key))->{body}, '{}', 'first') for 1, 2;
            is_event($ws->next_event, 'e', $c, 'd', 'once: '
                     . escape(substr $key, 0, 20));
        }

        is_plain($any->()->trigger(event(channel => $c,
                     idempotency_key => $_)), 400, qr/\S/,
                 length($_) . ' characters') for '', 'k' x 256;
        $t->nothing('that is all', $ws);

        # null is none
        for (1, 2) {
            $any->()->trigger(event(channel => $c, idempotency_key => undef));
            is_event($ws->next_event, 'e', $c, 'd', 'null: each time');
        }
    };


    subtest 'a request that failed may be tried again' => sub {
        my ($ws) = $t->spread(1);
        my $c = fresh('stored-');
        my $key = fresh('key');
        my %event = (channel => $c, idempotency_key => $key);

        subscribe_to($ws, $c);
        is_plain($any->()->trigger(event(%event, name => '')), 400, qr/\S/,
                 'bad');
        is_plain($any->()->trigger(event(%event, data => 'x' x 10241)), 413,
                 qr/\S/, 'too long');
        is_plain($any->()->trigger(event(%event), after => { x => 1 }), 401,
                 qr/\S/, 'not let in');

        my $res = $any->()->trigger(event(%event));
        ok(id_of($res, $c), 'good');
        is_event($ws->next_event, 'e', $c, 'd', 'delivered');

        # whoever knows the key does not get in by it
        is_plain($any->()->trigger(event(%event), after => { x => 1 }), 401,
                 qr/\S/, 'P81: not let in, with a known key');
        $t->nothing('once', $ws);
    };


    subtest 'at one time' => sub {
        my ($ws) = $t->spread(1);
        my $c = fresh('plain-');
        my $s = fresh('stored-');

        subscribe_to($ws, $_) for $c, $s;

        my @many = (@apis, map { Chat::API->new(port => $t->port) } 1 .. 6);
        my (@bad, $busy);

        for my $round (1 .. 40) {
            my $channel = $round % 2 ? $c : $s;
            my %event = (channel => $channel, data => "$round",
                         idempotency_key => fresh('key'));

            $_->http->send_raw($_->request_bytes('POST', 'events',
                body => json_bytes(event(%event)))) for @many;

            my %body;

            for (@many) {
                my $res = $_->http->read_response('POST');

                $body{$res->{body}}++ if $res->{status} == 200;
                $busy++ if $res->{status} == 409;
                push @bad, "$round: $res->{status}"
                    if $res->{status} != 200 && $res->{status} != 409;
            }

            # who was told that it is under way asks again
            $body{$_}++ for again([ $any->() ], sub {
                $_[0]->trigger(event(%event));
            });

            push @bad, "$round: " . join ' ', keys %body if keys %body != 1;
            push @bad, "$round: another event"
                if $ws->next_event->{data} ne "$round";
        }

        is("@bad", '', 'one answer for all, and one event');
        $t->nothing('no event twice', $ws);
        is(scalar(@{(history($t, $s))[0]}), 20, 'each is stored once');
        diag("$busy told to wait") if $busy;
    };


    subtest 'Idempotency-Key of messages' => sub {
        my @http = map { $_->http } @apis, @apis;
        my ($ws) = $t->spread(1);
        my $c = fresh('m-');
        my $post = sub {
            my ($http, $content, $key, $channel, $path) = @_;

            return $http->post($path || '/publish', { content => $content },
                { 'X-Channel' => $channel || $c, 'X-Event' => 'news',
                  defined $key ? ('Idempotency-Key' => $key) : () });
        };

        subscribe_to($ws, $_) for $c, "$c-2";

        my $key = fresh('key');
        my @got = map { $post->($_, 'first', $key) } @http;

        is(join(' ', map { $_->{status} } @got), join(' ', (201) x @got),
           '201 each time');
        is(join("\n", map { $_->{body} } @got),
           join("\n", ($got[0]{body}) x @got), 'byte for byte the same');
        is($_->{headers}{'content-type'}, $got[0]{headers}{'content-type'},
           'of the same type') for @got;
        is($ws->next_event->{data}, $got[0]{text}, 'delivered');
        $t->nothing('once', $ws);
        is((history($t, $c))[1], "[$got[0]{body}]", 'stored once');

        my $res = $post->($http[-1], 'other', $key);
        is($res->{body}, $got[0]{body}, 'of another content: as the first');

        $res = $post->($http[-1], 'second', fresh('key'));
        is(from_json($res->{body})->{content}, 'second', 'another key');
        is($ws->next_event->{data}, $res->{text}, 'delivered');

        $res = $post->($_, 'none') for @http;
        is($ws->next_event->{event}, 'news', 'without a key: each') for @http;

        $res = $post->($http[0], 'elsewhere', $key, "$c-2");
        is(from_json($res->{body})->{content}, 'elsewhere',
           'another channel, another request');
        is($ws->next_event->{data}, $res->{text}, 'delivered');

        $res = $post->($http[0], 'theirs', $key, $c, '/other');
        is(from_json($res->{body})->{content}, 'theirs', 'another app, too');

        $key = fresh('key');
        is($post->($http[0], '', $key)->{status}, 422, 'a message refused');
        $res = $post->($http[-1], 'good', $key);
        is($res->{status}, 201, 'may be tried again');
        is($ws->next_event->{data}, $res->{text}, 'delivered');

        is($post->($http[0], 'x', $_)->{status}, 400, 'a bad key')
            for 'k' x 256;
        $t->nothing('that is all', $ws);

        # at one time
        my @bad;

        for my $round (1 .. 20) {
            my $k = fresh('key');
            my %bodies;

            $_->send_raw(Chat::HTTP->format_request('POST', '/publish',
                { 'Content-Type' => 'application/json', 'X-Channel' => $c,
                  'X-Event' => 'news', 'Idempotency-Key' => $k },
                json_bytes({ content => "round $round" })))
                for @http[0 .. $#apis];

            for (@http[0 .. $#apis]) {
                my $res = $_->read_response('POST');

                $bodies{$res->{body}}++ if $res->{status} == 201;
                push @bad, $res->{status} unless $res->{status} =~ /201|409/;
            }

            $bodies{ $post->($http[0], "round $round", $k)->{body} }++;
            push @bad, keys %bodies if keys %bodies != 1;
            push @bad, 'another event'
                if $ws->next_event->{raw} !~ /round $round\b/;
        }

        is("@bad", '', 'at one time: one answer for all');
        $t->nothing('at one time: once', $ws);
    };
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, more => $locations,
        app => 'store stored-* exact; store private-s-* cache-s-* '
               . 'presence-s-* private-encrypted-s-*;');
    my @apis = Chat::API->spread($t);
    my $turn = 0;
    my $any = sub {
        my (%args) = @_;
        my $api = $apis[ $turn++ % @apis ];

        return Chat::API->new(http => $api->http, %args);
    };

    subtest "$workers workers" => sub {
        stored($t, $any);
        idempotency($t, $any, @apis);

        subtest 'a restart' => sub {
            my $c = fresh('stored-');
            my $id = id_of($any->()->trigger(event(channel => $c)), $c);

            $t->server->restart;
            $t->{http} = Chat::HTTP->new(port => $t->port);
            has_history($t, $c, [ { id => $id, event => 'e', data => 'd' } ],
                        'after a restart');

            my $api = Chat::API->new(port => $t->port);
            cmp_ok(id_of($api->trigger(event(channel => $c)), $c), '>', $id,
                   'ids go on');
        };
    };

    $t->finish;
}


# What shared memory has no room for is forgotten, and that is told.

subtest 'more keys than there is room for' => sub {
    my $t = Chat::Pusher->new(workers => 1, zone => '1m', app => 'store kept;',
                              more => $locations);
    my $api = Chat::API->new(port => $t->port);
    my $ws = $t->ws;
    my $bad = 0;
    my $keyed = 0;

    my $trigger = sub {
        my ($channel, $key, %more) = @_;

        $keyed++ if $channel ne 'kept';
        return $api->trigger(event(channel => $channel,
                                   idempotency_key => $key, %more));
    };

    # how many there are, if each takes 64 bytes
    my $known = sub {
        return $t->status->{memory}{answers}{used_bytes} / 64;
    };

    subscribe_to($ws, $_) for 'x', 'kept';

    my $kept = $trigger->('kept', 'first');
    $trigger->('x', 'first');
    is_event($ws->next_event, 'e', $_, 'd', 'delivered') for 'kept', 'x';
    is($known->(), 1, 'a key that is not stored takes 64 bytes');
    is($t->status->{keys_forgotten}, 0, 'nothing is forgotten');

    for my $round (1 .. 40) {
        $api->http->send_raw(join '', map {
            $keyed++;
            $api->request_bytes('POST', 'events', body => json_bytes(event(
                channel => 'y', idempotency_key => "$round.$_")))
        } 1 .. 100);

        for (1 .. 100) {
            $bad++ if $api->http->read_response('POST')->{status} != 200;
        }
    }

    is($bad, 0, 'all are answered');
    cmp_ok($known->(), '>', 600, 'many are known');
    is($t->status->{keys_forgotten}, $keyed - $known->(),
       'the others are counted as forgotten');
    $t->server->expect_log(
        qr/\[alert\].* chat has forgotten \d+ idempotency keys of triggers/);
    like($t->server->error_log, qr/forgotten 1 idempotency keys .*chat_zone/,
         'and that is in the log');

    $trigger->('x', 'first');
    is_event($ws->next_event, 'e', 'x', 'd', 'forgotten: sent again');

    is($trigger->('kept', 'first')->{body}, $kept->{body},
       'what is stored is known');
    $t->nothing('and not sent again', $ws);

    my $first = $trigger->('x', 'k', info => 'subscription_count');
    is($trigger->('x', 'k')->{body}, $first->{body}, 'the newest is known');
    is_event($ws->next_event, 'e', 'x', 'd', 'delivered');
    $t->nothing('once', $ws);
    subscribe_to($ws, "room-$_") for 1 .. 50;
    ok(1, 'there is room for channels');
    $t->finish;
};

done_testing();
