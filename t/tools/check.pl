#!/usr/bin/perl

# check.pl: what the C sources look like, how large they are, which layers
# they know, which symbols the built module needs and shows, and whether the
# documents' links lead somewhere.  Each rule is one test.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my $objs = 'build/' . ($ENV{NGINX_SRC} ? 'src-' : '') . 'objs';

my %text;
my %document;
my %faults;

# which files a file includes, all without their endings
my %includes;

# rooms from the top down; those of one number do not know each other
my %layer = (
    root   => 0, console => 1, websocket => 2, fallback => 2, events => 2,
    http   => 3, session => 4, fanout => 5, hook => 5, store => 6, link => 7,
    shared => 8,
    bus    => 9,
    pusher => 9, wire => 10,
);

# the libraries whose headers the pure files of a room may include
my %library = (
    wire   => qr{^yajl/},
    pusher => qr{^openssl/},
    store  => qr{^(?:sqlite3|ngx_chat_schema|pthread)\.h$},
    bus    => qr{^$},
    shared => qr{^$},
    link   => qr{^$},
);

# C's own and POSIX's, without input and output
my $libc = qr{^(?:setjmp|stdarg|stdio|stddef|stdint|string|limits|errno|time
                 |stdatomic|unistd|sys/stat|sys/types|sys/time|fcntl)\.h$}x;

my @rules = (
    [ text     => 'no tabs, trailing blanks, CR; a newline at the end' ],
    [ columns  => 'no line is longer than 80 columns' ],
    [ comments => 'no // comments' ],
    [ spacing  => 'two empty lines between top-level items' ],
    [ head     => 'an empty line, the copyright and a comment come first' ],
    [ names    => 'header guards are named for their files' ],
    [ files    => 'no file is longer than 600 lines' ],
    [ funcs    => 'no function is longer than 100 lines' ],
    [ layers   => 'includes go down the layers only' ],
    [ circles  => 'files of a room include each other in one direction only' ],
    [ pure     => 'pure files include pure headers only' ],
    [ links    => 'pure objects need nothing of nginx and no allocator' ],
    [ symbols  => 'the module shows ngx_chat_* only' ],
    [ reference => 'conf/directives.md has all directives' ],
    [ targets  => 'links and anchors of the documents exist' ],
    [ orphans  => 'every document is linked from another' ],
);


sub fault {
    my ($rule, $place, $what) = @_;

    push @{$faults{$rule}}, "$place: $what";
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or die "open $path: $!";
    local $/;
    my $content = <$fh>;

    return defined $content ? $content : '';
}


sub room {
    my ($file) = @_;

    return $file =~ m{^ngx_chat_module/(\w+)/} ? $1 : 'root';
}


# What is built without nginx for the unit tests.

sub is_pure {
    my ($file) = @_;

    return $file =~ m{/(?:wire|pusher)/}
           || $file =~ m{/store/ngx_chat_(?:db\w*|migration|batch|history
                                            |keys|retention)\b}x
           || $file =~ m{/bus/ngx_chat_ring\b}
           || $file =~ m{/link/ngx_chat_(?:link_url|log_item)\b}
           || $file =~ m{/shared/ngx_chat_(?:arena|rolling_max)\b};
}


sub check_text {
    my ($file, $content) = @_;

    my $n = 0;

    fault('text', $file, 'no newline at the end')
        if $content ne '' && $content !~ /\n\z/;

    for my $line (split /\n/, $content) {
        $n++;

        fault('text', "$file:$n", 'CR')       if $line =~ /\r/;
        fault('text', "$file:$n", 'trailing') if $line =~ /[ \t]\r?$/;
        fault('text', "$file:$n", 'tab')
            if $line =~ /\t/ && $file ne 'Makefile';

        next if $file =~ /\.(?:md|json|html|t)$/;

        my $width = $line;
        utf8::decode($width);
        fault('columns', "$file:$n", length($width)) if length($width) > 80;
    }
}


# The same text with strings and comments blanked, line by line.

sub code_of {
    my ($content) = @_;

    $content =~ s{
        ( /\* .*? \*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    }{ (my $blank = $1) =~ s/[^\n]/ /g; $blank }gesx;

    return $content;
}


sub check_c {
    my ($file, $content) = @_;

    my @lines = split /\n/, $content;
    my @code = split /\n/, code_of($content);
    my ($start, $n);

    # a unit test may begin with what it is made of, and need no comment
    my $head = $file =~ m{^t/}
               ? qr{^\n?(?:/\*\s[\s*]*sources:(?:.*\n)*?.*\*/\n)*}
               : qr{^};
    my $about = $file =~ m{^t/} ? qr{(?: \*.*\n)*} : qr{ \*\n(?: \*.*\n)+};

    fault('head', $file, 'differs from the other files')
        if $content !~ m{$head\n/\*\n \* Copyright \(C\) .*\n$about \*/\n};

    if ($file =~ m{^ngx_chat_module/(?:.*/)?([^/]+)\.h$}) {
        my $guard = '_' . uc($1) . '_H_INCLUDED_';

        fault('names', $file, "guard is not $guard")
            if $content !~ /^#ifndef \Q$guard\E\n#define \Q$guard\E\n/m;
    }

    fault('files', $file, scalar @lines)
        if @lines > 600 && $file =~ /^ngx_chat/;

    for ($n = 0; $n < @code; $n++) {
        my $place = $file . ':' . ($n + 1);

        fault('comments', $place, $lines[$n]) if $code[$n] =~ m{//};

        if ($code[$n] =~ /^\{/) {
            $start = $n;
        }

        if ($code[$n] =~ /^\}/) {
            check_end($file, \@lines, $n);

            if (defined $start) {
                check_size($file, $start, $n - $start + 1);
                undef $start;
            }
        }
    }

    while ($content =~ /\n(\n{3,})/g) {
        my $line = 1 + (substr($content, 0, pos($content)) =~ tr/\n//);
        fault('spacing', "$file:$line", 'more than two empty lines');
    }
}


# What ends at column 0 has two empty lines behind it, or a directive at once.

sub check_end {
    my ($file, $lines, $n) = @_;

    my $next = join("\n", grep { defined } (@$lines)[$n + 1 .. $n + 3]);

    return if $n + 1 == @$lines || $next =~ /^#/;

    fault('spacing', $file . ':' . ($n + 1), 'not two empty lines')
        if $next !~ /^\n\n./;
}


sub check_size {
    my ($file, $start, $size) = @_;

    my $place = $file . ':' . ($start + 1);

    fault('funcs', $place, $size) if $size > 100;
    note("$place: a function of $size lines") if $size > 60 && $size <= 100;
}


sub check_includes {
    my ($file, $content) = @_;

    my $room = room($file);

    while ($content =~ /^#include\s+([<"])([^>"]+)[>"]/mg) {
        my ($quote, $name) = ($1, $2);

        if ($quote eq '"') {
            fault('layers', $file, "include <room/$name>");
            next;
        }

        my $ours = -f "ngx_chat_module/$name";

        if ($ours) {
            $includes{ stem($file) }{ stem("ngx_chat_module/$name") } = 1;

            my $theirs = room("ngx_chat_module/$name");

            my $down = $theirs eq $room || $layer{$theirs} > $layer{$room};
            $down = 1 if $theirs eq 'root';

            fault('layers', $file, $name) if !$down;
        }

        next if !is_pure($file);
        next if $name eq 'ngx_config.h' || $name eq 'ngx_core.h';
        next if $ours && is_pure("ngx_chat_module/$name");
        next if $name =~ $library{$room} || $name =~ $libc;

        fault('pure', $file, $name);
    }
}


# X.c and X.h are one file where includes are followed.

sub stem {
    my ($file) = @_;

    return $file =~ s/\.[ch]$//r;
}


# Whether one file includes another, be it by way of others.

sub leads_to {
    my ($from, $to) = @_;

    my %seen = ($from => 1);
    my @todo = ($from);

    while (@todo) {
        my @next = grep { !$seen{$_}++ }
                   keys %{ $includes{ shift @todo } || {} };

        push @todo, @next;
    }

    return $seen{$to};
}


sub check_circles {
    for my $file (sort keys %includes) {
        for my $other (sort keys %{ $includes{$file} }) {
            fault('circles', $file, "$other leads back")
                if $other ne $file && leads_to($other, $file);
        }
    }
}


sub check_object {
    my ($file) = @_;

    my ($name) = $file =~ m{([^/]+/[^/]+)\.c$};
    my $object = "$objs/addon/$name.o";

    if (!-f $object) {
        fault('links', $file, "no $object");
        return;
    }

    for my $symbol (`nm -u $object` =~ /^\s+U (\S+)/mg) {
        fault('links', $file, $symbol)
            if $symbol =~ /^ngx_(?!chat_)/
               || $symbol =~ /^(?:malloc|calloc|realloc|strdup|asprintf)$/;
    }
}


sub check_module {
    my $module = 'build/ngx_chat_module.so';

    # what nginx itself looks up in a module
    my %nginx = map { $_ => 1 }
                qw(ngx_modules ngx_module_names ngx_module_order);

    my @symbols = `nm -D --defined-only $module` =~ /^\S+ \S (\S+)/mg;

    fault('symbols', $module, 'none') if !@symbols;

    for my $symbol (@symbols) {
        fault('symbols', $module, $symbol)
            if $symbol !~ /^ngx_chat_/ && !$nginx{$symbol};
    }
}


sub check_directives {
    my $reference = $document{'conf/directives.md'} // '';

    for my $file (grep { /\.c$/ } keys %text) {
        while ($text{$file} =~ /ngx_string\("(chat_\w+)"\)/g) {
            fault('reference', $file, $1) if $reference !~ /\b$1\b/;
        }
    }
}


# A document without its code.

sub prose_of {
    my ($content) = @_;

    $content =~ s/^```.*?^```$//gms;
    $content =~ s/`[^`\n]*`/`/g;

    return $content;
}


# What a link may name in a document: its headings, as GitHub makes anchors.

sub anchors_of {
    my ($content) = @_;

    my (%seen, %anchors);

    utf8::decode($content);
    $content =~ s/^```.*?^```$//gms;

    while ($content =~ /^#+ +(.*?) *$/mg) {
        my $anchor = lc($1) =~ s/[^\w\- ]//gr =~ s/ /-/gr;
        my $n = $seen{$anchor}++;

        $anchors{ $n ? "$anchor-$n" : $anchor } = 1;
    }

    return \%anchors;
}


sub check_links {
    my %linked;

    for my $file (sort keys %document) {
        my $prose = prose_of($document{$file});

        while ($prose =~ /\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)"/g) {
            my $target = $1 // $2;

            next if $target =~ /^\w+:/;

            my ($path, $anchor) = split /#/, $target, 2;
            my $to = $path eq '' ? $file : resolve($file, $path);

            $to .= 'README.md' if $to =~ m{/$};
            $linked{$to} = 1 if $to ne $file;

            fault('targets', $file, $target)
                if !-f $to || (defined $anchor
                               && !anchors_of($document{$to} // '')->{$anchor});
        }
    }

    for my $file (sort keys %document) {
        fault('orphans', $file, 'no document links to it')
            if $file ne 'README.md' && !$linked{$file};
    }
}


# The path of a link, from the top of the tree.

sub resolve {
    my ($file, $path) = @_;

    my @parts;

    for my $part (split m{/}, dirname($file) . "/$path", -1) {
        next if $part eq '.';
        $part eq '..' ? pop @parts : push @parts, $part;
    }

    return join '/', @parts;
}


# All that is ours and is text; not the pictures, nor the fuzzers' seeds.

my @top = grep { -e } qw(.ci .gitignore Makefile README.md conf config
                         ngx_chat_module sql t);
my @others = qw[( -name node_modules -o -path t/fuzz/corpus )];

open my $find, '-|', 'find', @top, @others, qw(-prune -o -type f -print)
    or die "find: $!";
chomp(my @files = <$find>);

for my $file (sort @files) {
    my $content = slurp($file);

    next if $content =~ /\0/;

    check_text($file, $content) if $file !~ m{package-lock\.json$};

    $document{$file} = $content if $file =~ /\.md$/;

    next if $file !~ m{^(?:ngx_chat_module|t)/.*\.[ch]$};

    check_c($file, $content);

    next if $file !~ m{^ngx_chat_module/};

    $text{$file} = $content;

    check_includes($file, $content);
    check_object($file) if $file =~ /\.c$/ && is_pure($file);
}

check_circles();
check_module();
check_directives();
check_links();

plan(tests => scalar @rules);

for my $rule (@rules) {
    my ($key, $name) = @$rule;
    my @found = @{$faults{$key} || []};

    ok(!@found, $name);

    splice(@found, 50, @found - 50, '...') if @found > 50;
    diag($_) for @found;
}
