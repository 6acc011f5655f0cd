// Models of the cells of zeroskip_ge.lib, to simulate netlists with.
module ZS_INV (input A, output Y);
    assign Y = ~A;
endmodule

module ZS_BUF (input A, output Y);
    assign Y = A;
endmodule

module ZS_NAND2 (input A, B, output Y);
    assign Y = ~(A & B);
endmodule

module ZS_NAND3 (input A, B, C, output Y);
    assign Y = ~(A & B & C);
endmodule

module ZS_NAND4 (input A, B, C, D, output Y);
    assign Y = ~(A & B & C & D);
endmodule

module ZS_NOR2 (input A, B, output Y);
    assign Y = ~(A | B);
endmodule

module ZS_NOR3 (input A, B, C, output Y);
    assign Y = ~(A | B | C);
endmodule

module ZS_NOR4 (input A, B, C, D, output Y);
    assign Y = ~(A | B | C | D);
endmodule

module ZS_AND2 (input A, B, output Y);
    assign Y = A & B;
endmodule

module ZS_OR2 (input A, B, output Y);
    assign Y = A | B;
endmodule

module ZS_XOR2 (input A, B, output Y);
    assign Y = A ^ B;
endmodule

module ZS_XNOR2 (input A, B, output Y);
    assign Y = ~(A ^ B);
endmodule

module ZS_AOI21 (input A, B, C, output Y);
    assign Y = ~((A & B) | C);
endmodule

module ZS_OAI21 (input A, B, C, output Y);
    assign Y = ~((A | B) & C);
endmodule

module ZS_AOI22 (input A, B, C, D, output Y);
    assign Y = ~((A & B) | (C & D));
endmodule

module ZS_OAI22 (input A, B, C, D, output Y);
    assign Y = ~((A | B) & (C | D));
endmodule

module ZS_MUX2 (input A, B, S, output Y);
    assign Y = (A & ~S) | (B & S);
endmodule

module ZS_DFF (input CK, D, output reg Q);
    always @(posedge CK) Q <= D;
endmodule
