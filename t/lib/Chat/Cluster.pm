package Chat::Cluster;

# Two nodes or more over one engine, each behind a proxy of its own.

use strict;
use warnings;

use Exporter 'import';
use Test::More;

use Chat::Engine;
use Chat::HTTP qw(from_json);
use Chat::Pusher;
use Chat::Server qw(APP_ID);

our @EXPORT_OK = qw(contents);


# new(nodes => [qw(a b)], engine => CONF, cluster => PARAMETERS, and
# Chat::Server's arguments)

sub new {
    my ($class, %args) = @_;

    my $names = delete $args{nodes} || [qw(a b)];
    my $conf = delete $args{engine};

    my $self = bless {
        engine => Chat::Engine->new(defined $conf ? (conf => $conf) : ()),
        cluster => delete $args{cluster} || '', args => \%args, names => $names,
    }, $class;

    $self->add($_) for @$names;

    return $self;
}


sub engine { $_[0]{engine} }
sub names  { @{ $_[0]{names} } }
sub proxy  { $_[0]{proxy}{$_[1]} }
sub node   { $_[0]{node}{$_[1]} }
sub server { $_[0]{node}{$_[1]}->server }
sub http   { $_[0]{http}{$_[1]} }


sub add {
    my ($self, $name, %args) = @_;

    my $id = APP_ID;
    my $url = ($self->{proxy}{$name} ||= $self->{engine}->proxy)->url;

    $self->{node}{$name} = Chat::Pusher->new(
        workers => 2, app => 'client_events on;',
        locations => <<"END",
        location = /messages {
            chat_history  chat app=$id;
            chat_publish  chat new_message app=$id;
        }

        location = /stale { chat_history chat app=$id stale=on; }
        location /app/ { chat_websocket; }
        location /apps/ { chat_api; }
        location = /chat_status { chat_status; }
END
        http => "chat_cluster $url name=$name timeout=2s $self->{cluster};",
        %{ $self->{args} }, %args,
    );

    $self->connect($name);

    return $self->{node}{$name};
}


# A new connection, as a kept one may be with a worker that is gone.

sub connect {
    my ($self, $name) = @_;

    $self->{http}{$name}
        = Chat::HTTP->new(port => $self->{node}{$name}->port, timeout => 15);

    return;
}


sub post {
    my ($self, $name, $content, %headers) = @_;

    return $self->{http}{$name}->post('/messages', { content => $content },
                                      \%headers);
}


sub history {
    my ($self, $name) = @_;

    return $self->{http}{$name}->history('/messages');
}


sub same_history {
    my ($self, $title) = @_;

    my ($first, @others) = map {
        join "\n", map { "$_->{id} $_->{content} $_->{created_at}" }
                   @{ $self->history($_) };
    } $self->names;

    is($_, $first, "$title: one history") for @others;

    return;
}


# Whether all that was acknowledged is there, once, on each node.

sub has_each_once {
    my ($self, $title, @contents) = @_;

    for my $node ($self->names) {
        my %n;
        $n{$_->{content}}++ for @{ $self->history($node) };

        is(join(',', grep { ($n{$_} || 0) != 1 } @contents), '',
           "$title: node $node has each once");
    }

    return;
}


# The next events of a connection, as texts.

sub contents {
    my ($ws, $n) = @_;

    return map { text_of($ws->next_event) } 1 .. $n;
}


sub text_of {
    my ($event) = @_;

    return 'nothing' if !defined $event->{event};
    return from_json($event->{data})->{content}
        if $event->{event} eq 'new_message';

    return "$event->{event} $event->{data}";
}


sub finish {
    my ($self) = @_;

    $_->finish for values %{ $self->{node} };

    return;
}


1;
