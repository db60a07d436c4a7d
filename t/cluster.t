#!/usr/bin/perl

# Several nodes as one: messages, events, ids, idempotency, the wait of a GET.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Cluster qw(contents);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to client_event signin);
use Chat::Server qw(wait_for);

# one worker, whose writer gathers what comes at a time
my $cluster = Chat::Cluster->new(workers => 1);
my %node = map { $_ => $cluster->node($_) } $cluster->names;
my %http = map { $_ => $cluster->http($_) } $cluster->names;


# ---- one log, one history

{
    my %ws = map { $_ => $node{$_}->ws } qw(a b);

    subscribe_to($_, 'chat') for values %ws;

    my $res = $cluster->post('a', 'one');
    my $one = from_json($res->{body});

    is($res->{status}, 201, 'a message is posted to one node');
    ok($one->{id} > 0, 'its id is the log\'s number');

    is(join(' ', contents($ws{a}, 1)), 'one', 'its subscriber has it');
    is(join(' ', contents($ws{b}, 1)), 'one', 'the other node\'s has it');

    is_deeply(from_json($http{b}->get('/messages')->{body}), [ $one ],
              'the other node has the same message, with its times');
    is($http{a}->get('/messages')->{headers}{'chat-epoch'},
       $http{b}->get('/messages')->{headers}{'chat-epoch'},
       'both have one epoch');

    ok(from_json($cluster->post('b', 'two')->{body})->{id} > $one->{id},
       'ids go on');

    my @mine = map { "from $_" } 1 .. 20;
    $cluster->post($_ % 2 ? 'a' : 'b', $mine[$_ - 1]) for 1 .. 20;

    is(join(' ', contents($ws{a}, 21)), join(' ', contents($ws{b}, 21)),
       'subscribers of both get one order');
    $cluster->same_history('posts to both');
}


# ---- events that are not stored

{
    my %ws = map { $_ => $node{$_}->ws } qw(a b);
    my %api = map { $_ => Chat::API->new(port => $node{$_}->port) } qw(a b);

    subscribe_to($_, 'private-room') for values %ws;

    is($api{a}->trigger({ name => 'news', channel => 'private-room',
                        data => 'x' })->{status}, 200, 'an event is triggered');
    is(join(' ', contents($ws{$_}, 1)), 'news x', "node $_ has it") for qw(a b);

    $api{b}->trigger({ name => 'news', channel => 'private-room', data => 'y',
                       socket_id => $ws{a}->socket_id });
    $api{b}->trigger({ name => 'news', channel => 'private-room', data => 'z' });
    is(join(' ', contents($ws{a}, 1)), 'news z',
       'a socket of another node is left out');
    is(join(' ', contents($ws{b}, 2)), 'news y news z', 'and no other');

    client_event($ws{a}, 'private-room', 'client-typing', { n => 1 });
    is(join(' ', contents($ws{b}, 1)), 'client-typing {"n":1}',
       'a client event goes to the other node');
    $api{a}->trigger({ name => 'news', channel => 'private-room', data => 'end' });
    is(join(' ', contents($ws{a}, 1)), 'news end', 'and not to its sender');

    my %id = map {
        $_ => from_json($api{$_}->trigger({ name => 'n', data => 'x',
                         channel => 'private-room', idempotency_key => 'k1' })
                        ->{body})
    } qw(a b);
    is(join(' ', contents($ws{b}, 2)), 'news end n x', 'one with a key');
    $api{a}->trigger({ name => 'news', channel => 'private-room', data => 'e2' });
    is(join(' ', contents($ws{b}, 1)), 'news e2',
       'comes once, though both nodes were asked');

    my $user = $node{b}->ws;
    signin($user, { id => '7' });
    is($api{a}->terminate('7')->{status}, 200, 'a user is terminated');
    is($user->wait_close, 4009, 'on the other node');
}


# ---- idempotency

{
    my $first = $cluster->post('a', 'keyed', 'Idempotency-Key' => 'k');
    my $second = $cluster->post('b', 'keyed', 'Idempotency-Key' => 'k');

    is("$first->{status} $second->{status}", '201 201',
       'a key is used on both nodes');
    is($second->{body}, $first->{body}, 'the answer is the same');
    $cluster->has_each_once('a key', 'keyed');
}


# ---- a key twice in one batch: both come while the one before is under way

{
    my @posts = map { Chat::HTTP->new(port => $node{b}->port, timeout => 15) }
                1 .. 3;
    my $queued = sub {
        from_json($http{b}->get('/chat_status')->{body})->{store}{queued};
    };

    $cluster->proxy('b')->tell('hold');

    for my $i (0 .. 2) {
        $posts[$i]->send_raw($posts[$i]->format_request('POST', '/messages',
            { 'Content-Type' => 'application/json',
              $i ? ('Idempotency-Key' => 'twice') : () },
            json_bytes({ content => $i ? 'twice' : 'before' })));
        ok(wait_for(5, sub { $queued->() == $i + 1 }), 'it is under way');
    }

    $cluster->proxy('b')->tell('pass');

    my @res = map { $_->read_response('POST') } @posts;

    is(join(' ', map { $_->{status} } @res), '201 201 201',
       'a key came twice at a time');
    is($res[2]{body}, $res[1]{body}, 'the answer is the same');
    $cluster->has_each_once('a key twice at a time', qw(before twice));
}


# ---- the wait of a GET

{
    $cluster->proxy('b')->tell('hold');

    is($cluster->post('a', 'late')->{status}, 201, 'a message, while node b is behind');

    my $reader = Chat::HTTP->new(port => $node{b}->port);
    $reader->send_raw($reader->format_request('GET', '/messages?limit=1'));
    $cluster->proxy('b')->tell('pass');

    my $res = $reader->read_response('GET');
    is($res->{status}, 200, 'node b answers when it has caught up');
    is(from_json($res->{body})->[0]{content}, 'late',
       'with what was acknowledged before it was asked');
}


$cluster->finish;

done_testing();
