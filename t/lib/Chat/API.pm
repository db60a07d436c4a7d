package Chat::API;

# A client of the signed HTTP API, over one connection that is kept alive.
# Any part of a request can be left out, or changed before or after signing.
#
# expected() is a second way to a signature, from what is really sent: it
# tells whether a changed request is still a good one, and what an error's
# text must never have.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(hmac_sha256_hex);
use Encode ();
use Exporter 'import';
use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::Server qw(APP_ID APP_KEY APP_SECRET);

our @EXPORT_OK = qw(escape string_to_sign is_ok is_plain fault_of_text);


# new(port => N, prefix => '/deep/er', app => ID, key => KEY, secret => SECRET,
#     tls => 1, http => Chat::HTTP)

sub new {
    my ($class, %args) = @_;

    my $self = bless {
        prefix => '', app => APP_ID, key => APP_KEY, secret => APP_SECRET,
        %args,
    }, $class;

    $self->{http} ||= Chat::HTTP->new(port => $self->{port},
                                      tls => $self->{tls});

    return $self;
}


# Clients on as many workers as there are (X-Worker tells them apart).

sub spread {
    my ($class, $t, %args) = @_;

    my (%apis, @list);

    for (1 .. 1000) {
        my $api = $class->new(port => $t->port, %args);
        my $worker = $api->get('channels')->{headers}{'x-worker'};

        next if $apis{$worker}++;
        push @list, $api;
        return @list if @list == $t->server->{workers};
    }

    die "only " . @list . " workers answer";
}


sub http { $_[0]{http} }


# ---- signing

# What has no characters above U+00FF and was not decoded is bytes already.

sub bytes {
    my ($text) = @_;

    return utf8::is_utf8($text) ? Encode::encode('utf8', $text) : $text;
}


sub escape {
    my ($text) = @_;

    $text = bytes($text);
    $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;

    return $text;
}


# Of pairs [ name, value ], in the order sent.

sub string_to_sign {
    my ($method, $path, @pairs) = @_;

    my @signed = map { [ lower($_->[0]), bytes($_->[1]) ] } @pairs;

    # stable, as sort is
    return "$method\n$path\n"
           . join '&', map { "$_->[0]=$_->[1]" }
                       sort { $a->[0] cmp $b->[0] }
                       grep { $_->[0] ne 'auth_signature' } @signed;
}


# ASCII only, whatever the locale says.

sub lower {
    my ($name) = @_;

    $name = bytes($name);
    $name =~ tr/A-Z/a-z/;

    return $name;
}


# The path and query of a signed request.
#
# query => [ NAME => VALUE, ... ]     parameters, strings of characters
# body => BYTES
# auth => { auth_timestamp => ... }   instead of what would be signed; undef
#                                     leaves it out
# after => { auth_signature => ... }  the same, behind the signer's back
# sign => [ METHOD, PATH, BODY ]      what to sign instead, undef: as it is
# order => \&CODE(pairs)              returns them in the order to send
# write => \&CODE(name, value)        "name=value", escaped in its own way

sub target {
    my ($self, $method, $path, %o) = @_;

    my @sign = @{ $o{sign} || [] };
    my $signed = defined $sign[2] ? $sign[2] : $o{body};
    my %auth = (
        auth_key       => $self->{key},
        auth_timestamp => time(),
        auth_version   => '1.0',
        body_md5       => defined $signed && $signed ne '' ? md5_hex($signed)
                                                           : undef,
        %{ $o{auth} || {} },
    );

    my @query = @{ $o{query} || [] };
    my @pairs;

    push @pairs, [ splice @query, 0, 2 ] while @query;
    push @pairs, map { [ $_, $auth{$_} ] } grep { defined $auth{$_} }
                 sort keys %auth;

    my $text = string_to_sign(defined $sign[0] ? $sign[0] : $method,
                              defined $sign[1] ? $sign[1] : $path, @pairs);
    my %after = (auth_signature => hmac_sha256_hex($text, $self->{secret}),
                 %{ $o{after} || {} });

    @pairs = grep { !exists $after{ lower($_->[0]) } } @pairs;
    push @pairs, map { [ $_, $after{$_} ] } grep { defined $after{$_} }
                 sort keys %after;
    @pairs = $o{order}->(@pairs) if $o{order};

    my $write = $o{write} || sub { escape($_[0]) . '=' . escape($_[1]) };

    return "$path?" . join '&', map { $write->(@$_) } @pairs;
}


# What a target means: its string to sign, the signature that it should have,
# and the one that it has.

sub expected {
    my ($self, $method, $target) = @_;

    my ($path, $query) = split /\?/, $target, 2;
    my @pairs;

    for (split /&/, defined $query ? $query : '') {
        next if $_ eq '';

        my ($name, $value) = map {
            my $text = $_;
            $text =~ tr/+/ /;
            $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
            $text;
        } split(/=/, $_, 2), '';

        push @pairs, [ $name, $value ];
    }

    my ($given) = map { $_->[1] } grep { lower($_->[0]) eq 'auth_signature' }
                  reverse @pairs;
    my $text = string_to_sign($method, $path, @pairs);

    return { text => $text, given => $given,
             right => hmac_sha256_hex($text, $self->{secret}) };
}


# ---- requests

sub path {
    my ($self, $what) = @_;

    return $what if $what =~ m{^/};
    return "$self->{prefix}/apps/$self->{app}/$what";
}


# The bytes of a request, for those that are sent in another way; the options
# are target()'s, and headers => { NAME => VALUE }.

sub request_bytes {
    my ($self, $method, $what, %o) = @_;

    return Chat::HTTP->format_request($method,
        $self->target($method, $self->path($what), %o),
        $self->headers(%o), $o{body});
}


sub headers {
    my ($self, %o) = @_;

    return { defined $o{body} ? ('Content-Type' => 'application/json') : (),
             %{ $o{headers} || {} } };
}


sub call {
    my ($self, $method, $what, %o) = @_;

    return $self->call_target($method,
        $self->target($method, $self->path($what), %o), %o);
}


# A request that is signed already, or badly.  {right} of the answer is the
# signature that it should have had, {given} the one that it had.

sub call_target {
    my ($self, $method, $target, %o) = @_;

    my $res = $self->{http}->request($method, $target, $self->headers(%o),
                                     $o{body});

    my $e = $self->expected($method, $target);

    $res->{right} = $e->{right};
    $res->{given} = $e->{given};
    $res->{secret} = $self->{secret};

    return $res;
}


sub get {
    my ($self, $what, $query, %o) = @_;

    return $self->call('GET', $what, query => $query, %o);
}


# The body is JSON's bytes, or what to make them of.

sub post {
    my ($self, $what, $body, %o) = @_;

    $body = json_bytes($body) if ref $body;

    return $self->call('POST', $what, body => $body, %o);
}


sub trigger {
    my ($self, $event, %o) = @_;

    return $self->post('events', $event, %o);
}


sub batch {
    my ($self, $events, %o) = @_;

    return $self->post('batch_events',
                       ref $events eq 'ARRAY' ? { batch => $events } : $events,
                       %o);
}


sub terminate {
    my ($self, $id, %o) = @_;

    return $self->post('users/' . escape($id) . '/terminate_connections',
                       '{}', %o);
}


# ---- answers

# 200, and JSON that is the same as $want.

sub is_ok {
    my ($res, $want, $name, $status) = @_;

    $status ||= 200;

    is($res->{status}, $status, "$name: $status")
        or return diag($res->{body});
    is($res->{headers}{'content-type'}, 'application/json', "$name: JSON");
    is_deeply(eval { from_json($res->{body}) }, $want, "$name: the answer")
        or diag($res->{body});
}


# What is wrong with the text of an error: nothing, for ''.

sub fault_of_text {
    my ($res) = @_;

    return "status $res->{status}" if $res->{status} !~ /^4/;
    return "type " . ($res->{headers}{'content-type'} || '')
        if ($res->{headers}{'content-type'} || '')
           !~ m{^text/plain(?:; ?charset=utf-8)?$}i;
    return "no line: $res->{body}"
        if $res->{body} !~ /\A[^\r\n]*\S[^\r\n]*\n\z/;
    return "not UTF-8" if !eval {
        Encode::decode('UTF-8', my $copy = $res->{body}, Encode::FB_CROAK);
        1;
    };
    return "the secret" if index($res->{body}, $res->{secret}) >= 0;

    # neither a beginning nor an end of it, save what the client has sent
    my $given = defined $res->{given} ? lc $res->{given} : '';

    for (substr($res->{right}, 0, 16), substr $res->{right}, -16) {
        return "the right signature"
            if index(lc $res->{body}, $_) >= 0 && index($given, $_) < 0;
    }

    return '';
}


# An error: its status, a line of plain text that gives nothing away.

sub is_plain {
    my ($res, $status, $like, $name) = @_;

    is($res->{status}, $status, "$name: $status") or diag($res->{body});
    is(fault_of_text($res), '', "$name: a line of text");
    like($res->{text}, $like, "$name: that says why") if defined $like;
}


1;
