package Bench::Table;

# Medians, ranges and ratios, as Markdown.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(median figure table);


sub median {
    my @sorted = sort { $a <=> $b } @_;

    return undef if !@sorted;

    my $half = int(@sorted / 2);

    return @sorted % 2 ? $sorted[$half]
                       : ($sorted[$half - 1] + $sorted[$half]) / 2;
}


# Three digits are all that such numbers are worth.

sub number {
    my ($n) = @_;

    return sprintf('%.2f', $n) if abs($n) < 10;
    return sprintf('%.1f', $n) if abs($n) < 100;

    my $unit = 10 ** (length(int(abs $n)) - 3);
    my $text = int($n / $unit + 0.5) * $unit;

    1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;

    return $text;
}


sub figure {
    my @values = grep { defined } @_;

    return '–' if !@values;

    my ($low, $high) = (sort { $a <=> $b } @values)[0, -1];
    my $text = number(median(@values));

    return $text if @values == 1;

    return "$text (" . number($low) . '–' . number($high) . ')';
}


# table([ heading, ... ], [ cell, ... ], ...)

sub table {
    my ($head, @rows) = @_;

    my $text = '| ' . join(' | ', @$head) . " |\n"
               . '|' . ' --- |' x @$head . "\n";

    $text .= '| ' . join(' | ', @$_) . " |\n" for @rows;

    return $text;
}


1;
