# P99, as far as it goes without them: requests in the shape that the server
# SDKs for Ruby, PHP, Python, Go, Java and .NET give them, as sections 6.3 and
# 6.5 of the protocol describe it, and what each of them needs of an answer.
#
# This is not a run of those SDKs, which are in neither of the places that the
# tests can install from.  The one for Node is: e2e/sdk.test.mjs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::MD5 qw(md5_hex);
use JSON::PP ();
use Test::More;

use Chat::API qw(escape is_plain);
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(subscribe_to join_presence signin is_event is_fatal);
use Chat::Server qw(APP_ID);

my $serial = 0;
my $yes = JSON::PP::true();


sub fresh { return shift() . sprintf '%04d', ++$serial }


# ---- how each of them writes a request

sub by_name { return sort { $a->[0] cmp $b->[0] } @_ }


sub signature_first { return @_[-1, 0 .. $#_ - 1] }


sub plain { return "$_[0]=$_[1]" }


sub escaped { return escape($_[0]) . '=' . escape($_[1]) }


# one_channel: "channel" where there is one channel; channels in batches too
# json_string: a string as data becomes JSON, too
# ascii, escape_slash: of the language's own JSON writer
# get_md5: a GET has body_md5, of nothing
# get_type: a GET has a Content-Type
# info: what of trigger and batch takes it
# prefix: before /apps/ and not signed
# terminate: the path

my %sdk = (
    ruby => {
        library => 'pusher-http-ruby 2.1.0', write => \&escaped,
        info => { trigger => 1, batch => 1 },
    },
    php => {
        library => 'pusher-http-php 7.2.0', write => \&plain,
        one_channel => 1, json_string => 1, get_type => 1,
        info => { trigger => 1, batch => 1 }, escape_slash => 1,
    },
    'php, option path' => {
        library => 'pusher-http-php 7.2.0', write => \&plain,
        one_channel => 1, json_string => 1, get_type => 1,
        info => { trigger => 1, batch => 1 }, escape_slash => 1,
        prefix => '/deep/er',
    },
    python => {
        library => 'pusher-http-python 3.3.3', write => \&escaped,
        order => \&by_name, get_md5 => 1, info => {}, ascii => 1,
        terminate => '/users/%s/terminate_connections',
    },
    go => {
        library => 'pusher-http-go 5.1.1', write => \&escaped,
        order => \&by_name, get_type => 1,
        info => { trigger => 1, batch => 1 },
    },
    java => {
        library => 'pusher-http-java 1.3.5', write => \&escaped, info => {},
    },
    '.net' => {
        library => 'pusher-http-dotnet', write => \&plain,
        order => \&signature_first, info => { trigger => 1 },
    },
);


sub body_of {
    my ($sdk, $value) = @_;

    my $json = JSON::PP->new->canonical->allow_nonref
                       ->ascii($sdk->{ascii})->utf8(!$sdk->{ascii});
    my $text = $json->encode($value);

    $text =~ s{/}{\\/}g if $sdk->{escape_slash};

    return $text;
}


# The answer's JSON; it has to be one that all of them can read.

sub ask {
    my ($sdk, $api, $method, $what, $query, $value) = @_;

    my $body = defined $value ? body_of($sdk, $value) : undef;
    my $path = $api->path($what);
    my %o = (query => $query, body => $body, write => $sdk->{write},
             order => $sdk->{order}, headers => {
                 'X-Pusher-Library' => $sdk->{library},
                 'Content-Type' => 'application/json' });

    $o{auth} = { body_md5 => md5_hex('') } if !defined $body && $sdk->{get_md5};
    $o{sign} = [ undef, $path ] if $sdk->{prefix};

    delete $o{headers}{'Content-Type'}
        if $method eq 'GET' && !$sdk->{get_type};

    my $target = $api->target($method, ($sdk->{prefix} || '') . $path, %o);

    my $res = $api->call_target($method, $target, %o);

    # PHP takes no other status; none takes an empty body, or an array
    is($res->{status}, 200, "$method $what: 200") or diag($res->{body});
    is($res->{headers}{'content-type'}, 'application/json',
       "$method $what: JSON");
    like($res->{body}, qr/^\{.*\}$/, "$method $what: an object");

    return eval { from_json($res->{body}) };
}


sub event {
    my ($sdk, $name, $data, @channels) = @_;

    $data = body_of({ ascii => 1 }, $data)
        if ref $data || $sdk->{json_string};

    return { name => $name, data => $data,
             $sdk->{one_channel} && @channels == 1
             ? (channel => $channels[0]) : (channels => \@channels) };
}


# ---- what each of them can do

sub publishes {
    my ($sdk, $api, $t) = @_;

    my ($ws, $other) = $t->spread(2);
    my ($a, $b) = (fresh('a,b;c='), fresh('private-'));
    my $room = fresh('presence-');
    my $got = sub {
        my ($channel, $data, @of) = @_;

        is_event($_->next_event, 'e', $channel, $data, 'arrives') for @of;
    };

    for my $c ($ws, $other) { subscribe_to($c, $_) for $a, $b }

    for my $data ('hi', "\x{e9}\x{1f600} \"/\\", { msg => "\x{e9}" }, [ 1 ]) {
        my $event = event($sdk, 'e', $data, $a);

        is_deeply(ask($sdk, $api, 'POST', 'events', [], $event), {}, 'P85');
        $got->($a, $event->{data}, $ws, $other);
    }

    is_deeply(ask($sdk, $api, 'POST', 'events', [],
                  event($sdk, 'e', 'many', $a, $b)), {}, 'P85: two channels');
    is(join(' ', sort map { $_->next_event->{channel} } $ws, $ws),
       join(' ', sort $a, $b), 'arrive');
    $other->next_event for 1, 2;

    my $event = event($sdk, 'e', 'not to all', $b);
    is_deeply(ask($sdk, $api, 'POST', 'events', [],
                  { %$event, socket_id => $ws->socket_id }), {}, 'P86');
    $got->($b, $event->{data}, $other);

    my @batch = map { my $e = event({ %$sdk, one_channel => 1 }, 'e', "n$_",
                                    $_ % 2 ? $a : $b);
                      $e } 1 .. 10;
    is_deeply(ask($sdk, $api, 'POST', 'batch_events', [],
                  { batch => \@batch }), {}, 'P88: a batch');

    for my $c ($ws, $other) {
        is(join(' ', map { $_->{data} } map { $c->next_event } @batch),
           join(' ', map { $_->{data} } @batch), 'P88: arrives');
    }

    my @info = (info => 'user_count,subscription_count');
    join_presence($ws, $room, '7');

    if ($sdk->{info}{trigger}) {
        is_deeply(ask($sdk, $api, 'POST', 'events', [],
                      { %{ event($sdk, 'e', 'x', $a, $room) }, @info }),
                  { channels => { $a => { subscription_count => 2 },
                                  $room => { user_count => 1,
                                               subscription_count => 1 } } },
                  'P87: info');
        $t->fence($ws, $other);
    }

    if ($sdk->{info}{batch}) {
        my %of = (name => 'e', data => 'x');
        is_deeply(ask($sdk, $api, 'POST', 'batch_events', [], { batch => [
                      { %of, channel => $a, @info }, { %of, channel => $b },
                      { %of, channel => $room, @info } ] }),
                  { batch => [ { subscription_count => 2 }, {},
                               { user_count => 1, subscription_count => 1 } ] },
                  'P88: info');
        $t->fence($ws, $other);
    }

    $t->nothing('nothing else', $ws, $other);
}


sub asks {
    my ($sdk, $api, $t) = @_;

    my $ws = $t->ws;
    my $name = fresh('');
    my ($c, $room) = (fresh('cache-'), "presence-$name");

    is_deeply(ask($sdk, $api, 'GET', 'channels',
                  [ filter_by_prefix => $room ]), { channels => {} },
              'P91: no channels');

    join_presence($ws, $room, '7');
    subscribe_to($ws, $c);

    is_deeply(ask($sdk, $api, 'GET', 'channels',
                  [ filter_by_prefix => $room, info => 'user_count' ]),
              { channels => { $room => { user_count => 1 } } },
              'P92: channels');
    is_deeply(ask($sdk, $api, 'GET', "channels/$room",
                  [ info => 'user_count,subscription_count' ]),
              { occupied => $yes, user_count => 1, subscription_count => 1 },
              'P93: a channel');
    is_deeply(ask($sdk, $api, 'GET', "channels/$c", [ info => 'cache' ]),
              { occupied => $yes, cache => undef }, 'P59: a cache channel');
    is_deeply(ask($sdk, $api, 'GET', "channels/$room/users", []),
              { users => [ { id => '7' } ] }, 'P95: users');
}


sub terminates {
    my ($sdk, $api, $t) = @_;

    my ($ws, $other) = $t->spread(2);
    my $user = fresh('u');

    signin($ws, { id => $user });
    signin($other, { id => "${user}x" });

    my $path = sprintf $sdk->{terminate} || 'users/%s/terminate_connections',
                       $user;

    is_deeply(ask($sdk, $api, 'POST', $path, [], {}), {}, 'P77: terminate');
    is_fatal($ws, 4009, 'P77');
    $t->nothing('P77: nobody else', $other);
}


# An error is shown as the text that it is.

sub fails {
    my ($sdk, $api) = @_;

    my $wrong = Chat::API->new(http => $api->http, secret => 'wrong');
    my %o = (write => $sdk->{write}, order => $sdk->{order},
             body => body_of($sdk, event($sdk, 'e', 'd', 'x')));

    is_plain($wrong->call('POST', 'events', %o), 401, qr/^Invalid signature/,
             'P81: a wrong secret');
}


for my $workers (1, 4) {
    my $t = Chat::Pusher->new(workers => $workers, more => <<'END_OF_MORE');
        location /apps/ { chat_api; }
        location /users/ { chat_api; }
        location /deep/er/apps/ { chat_api; }
END_OF_MORE

    for my $name (sort keys %sdk) {
        subtest "P99: shaped as by the SDK for $name, $workers workers" => sub {
            my $api = Chat::API->new(port => $t->port);

            $_->($sdk{$name}, $api, $t)
                for \&publishes, \&asks, \&terminates, \&fails;
        };
    }

    $t->finish;
}

done_testing();
